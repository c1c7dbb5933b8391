// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
)

const (
	// lanes is the number of splits: it divides evenly among most numbers of readers.
	lanes = 60
	// block is how many events a lane has in a row, about as many as a batch has room for.
	block = 4 * epoch
)

// Source reads the events of a generator.
//
//	lane 0   [0, 200)               [12000, 12200) ...
//	lane 1           [200, 400)                    [12200, 12400) ...
//
// Lanes interleave, so that the readers advance together in event time, and what an event is does not depend on how many
// readers there are.
type Source struct {
	*Generator
	// Lingers tells that the input does not end behind the last event.
	Lingers bool
}

// Boundedness is Bounded.
func (s Source) Boundedness() connector.Boundedness { return connector.Bounded }

// Lane is a split: the lane with this index, whose next event is at place Next of the sequence.
type Lane struct{ Index, Next int64 }

// SplitID names the lane.
func (l Lane) SplitID() string { return fmt.Sprintf("lane-%d", l.Index) }

// Undealt is the state of the enumerator: the lanes that no reader has.
type Undealt struct{ Lanes []Lane }

// NewEnumerator makes the enumerator.
func (s Source) NewEnumerator(_ context.Context, rt connector.EnumeratorContext[Lane], restored *Undealt) (connector.Enumerator[Lane, Undealt], error) {
	e := &enumerator{rt: rt}
	if restored != nil {
		e.left = slices.Clone(restored.Lanes)
		return e, nil
	}
	for i := range int64(lanes) {
		if i*block < s.Events {
			e.left = append(e.left, Lane{Index: i, Next: i * block})
		}
	}
	return e, nil
}

// NewReader makes a reader.
func (s Source) NewReader(_ context.Context, rt connector.RuntimeContext) (connector.Reader[Event, Lane], error) {
	return &reader{rt: rt, g: s.Generator, lingers: s.Lingers}, nil
}

var _ connector.Source[Event, Lane, Undealt] = Source{}

// enumerator deals out the lanes as it starts. What comes back later goes to whoever asks first.
type enumerator struct {
	rt   connector.EnumeratorContext[Lane]
	left []Lane
}

func (e *enumerator) Assigned(_ int, held []Lane) error {
	for _, l := range held {
		e.left = slices.DeleteFunc(e.left, func(o Lane) bool { return o.Index == l.Index })
	}
	return nil
}

func (e *enumerator) Start(context.Context) error {
	readers := slices.Sorted(slices.Values(e.rt.Readers()))
	if len(readers) == 0 {
		return nil
	}
	own := make([][]Lane, len(readers))
	for _, l := range e.left {
		i := l.Index % int64(len(readers))
		own[i] = append(own[i], l)
	}
	e.left = nil
	for i, l := range own {
		if len(l) > 0 {
			e.rt.Assign(readers[i], l...)
		}
	}
	return nil
}

func (e *enumerator) ReaderReady(reader int) error {
	if len(e.left) > 0 {
		e.rt.Assign(reader, e.left...)
		e.left = nil
		return nil
	}
	e.rt.NoMoreSplits(reader)
	return nil
}

func (e *enumerator) AddBack(back []Lane, _ int) error {
	e.left = append(e.left, back...)
	return nil
}

func (e *enumerator) Snapshot(int64) (Undealt, error) { return Undealt{slices.Clone(e.left)}, nil }

func (e *enumerator) Close() error { return nil }

// reader fills batches, always from the lane that is furthest back.
type reader struct {
	rt      connector.RuntimeContext
	g       *Generator
	held    []heldLane
	noMore  bool
	lingers bool
}

// heldLane is a lane with its id, which is made once.
type heldLane struct {
	Lane
	id string
}

func (r *reader) Add(splits []Lane) error {
	for _, l := range splits {
		r.held = append(r.held, heldLane{l, l.SplitID()})
	}
	r.rt.Wake()
	return nil
}

func (r *reader) NoMoreSplits() {
	r.noMore = true
	r.rt.Wake()
}

func (r *reader) Poll(b *element.Batch[Event]) (string, error) {
	if len(r.held) == 0 {
		if r.noMore && !r.lingers {
			return "", io.EOF
		}
		return "", connector.ErrWait
	}
	at := 0
	for i := range r.held {
		if r.held[i].Next < r.held[at].Next {
			at = i
		}
	}
	l := &r.held[at]
	from, room := b.Len(), int64(max(1, b.Limit()-b.Len()))
	n := min(room, block-l.Next%block, r.g.Events-l.Next)
	b.Resize(from + int(n))
	if times := b.Times(); times != nil {
		for i := range times[from:] {
			times[from+i] = element.NoTime
		}
	}
	r.g.Fill(l.Next, b.Rows()[from:])
	l.Next += n
	if l.Next%block == 0 {
		l.Next += (lanes - 1) * block
	}
	if l.Next < r.g.Events {
		return l.id, nil
	}
	id := l.id
	r.held = slices.Delete(r.held, at, at+1)
	return id, connector.ErrSplitEnd
}

func (r *reader) Snapshot(int64) ([]Lane, error) {
	held := make([]Lane, len(r.held))
	for i, l := range r.held {
		held[i] = l.Lane
	}
	return held, nil
}

func (r *reader) Completed(int64) error { return nil }

func (r *reader) Close() error { return nil }
