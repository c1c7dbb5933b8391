// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package generator makes records from their sequence numbers: repeatable, splittable, bounded or not.
//
//	bounded:    [0, n) [n, 2n) ... [.., limit)     ranges, handed out one by one
//	unbounded:  0, L, 2L, ...  1, L+1, 2L+1, ...   L lanes, dealt out to the readers at the start
//
// How numbers are divided depends on nothing but the limit, so a job restored at another parallelism goes on with the
// same splits. In an unbounded source the lanes interleave, so that the numbers of all readers advance together.
//
// Non-obvious: more readers than lanes leave some idle.
package generator

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/weir-stream/weir/connector"
)

const (
	// lanes is the number of splits of an unbounded source.
	lanes = 128
	// A bounded source has about rangesWanted splits, of rangeRowsMin to rangeRowsMax records.
	rangesWanted = 128
	rangeRowsMin = 1 << 10
	rangeRowsMax = 1 << 22
)

// Source generates records. Its methods return a changed copy.
type Source[T any] struct {
	fill func(i int64, out *T)
	// limit is the number of records, negative where there is none.
	limit int64
	rate  float64
}

// New makes a source of the records that fill makes of the numbers from 0 on: out arrives zeroed. fill is a pure
// function of i, and is called from many goroutines.
func New[T any](fill func(i int64, out *T)) Source[T] { return Source[T]{fill: fill, limit: -1} }

// Slice yields the given records, which must not change afterwards, and ends.
func Slice[T any](rows ...T) Source[T] {
	return New(func(i int64, out *T) { *out = rows[i] }).Limit(int64(len(rows)))
}

// Limit ends the source after n records.
func (s Source[T]) Limit(n int64) Source[T] {
	s.limit = max(0, n)
	return s
}

// Rate holds the source to rows a second, of which each reader gets an equal share; zero is no limit.
func (s Source[T]) Rate(rows float64) Source[T] {
	s.rate = rows
	return s
}

// Boundedness is Bounded where there is a limit.
func (s Source[T]) Boundedness() connector.Boundedness {
	if s.limit < 0 {
		return connector.Unbounded
	}
	return connector.Bounded
}

// NewEnumerator makes the enumerator.
func (s Source[T]) NewEnumerator(_ context.Context, rt connector.EnumeratorContext[Split], restored *Progress) (connector.Enumerator[Split, Progress], error) {
	e := &enumerator{rt: rt, limit: s.limit}
	switch {
	case restored != nil:
		e.state = clone(*restored)
	case s.limit < 0:
		for i := range int64(lanes) {
			e.state.Returned = append(e.state.Returned, Split{From: i, To: math.MaxInt64, Step: lanes, Next: i})
		}
	}
	return e, nil
}

// NewReader makes a reader.
func (s Source[T]) NewReader(_ context.Context, rt connector.RuntimeContext) (connector.Reader[T, Split], error) {
	return &reader[T]{rt: rt, fill: s.fill, pacer: connector.NewPacer(rt, s.rate)}, nil
}

var _ connector.Source[int, Split, Progress] = Source[int]{}

// Split is the numbers From, From+Step, ... below To, of which those before Next are done.
type Split struct{ From, To, Step, Next int64 }

// SplitID names the numbers.
func (s Split) SplitID() string { return fmt.Sprintf("%d-%d/%d", s.From, s.To, s.Step) }

// Progress is the state of the enumerator: what is not assigned yet.
type Progress struct {
	// Next is where the next range begins.
	Next int64
	// Returned are splits that came back from readers, and lanes before they are dealt out.
	Returned []Split
	// Taken are ranges from Next on that readers hold or have finished.
	Taken []Split
}

type enumerator struct {
	rt    connector.EnumeratorContext[Split]
	limit int64
	state Progress
}

// Assigned takes the splits out of what came back, and remembers the others until they would be cut again.
func (e *enumerator) Assigned(_ int, splits []Split) error {
	for _, s := range splits {
		if i := indexOf(e.state.Returned, s); i >= 0 {
			e.state.Returned = slices.Delete(e.state.Returned, i, i+1)
		} else if e.limit >= 0 && s.From >= e.state.Next && indexOf(e.state.Taken, s) < 0 {
			e.state.Taken = append(e.state.Taken, s)
		}
	}
	return nil
}

// Start deals out lanes; ranges wait until they are asked for.
func (e *enumerator) Start(context.Context) error {
	if e.limit < 0 {
		e.deal()
	}
	return nil
}

// deal assigns the lanes that no reader has. A lane's reader follows from its number, so that all get as many.
func (e *enumerator) deal() {
	readers := slices.Sorted(slices.Values(e.rt.Readers()))
	own := make([][]Split, len(readers))
	for _, s := range e.state.Returned {
		i := s.From % int64(len(readers))
		own[i] = append(own[i], s)
	}
	e.state.Returned = nil
	for i, splits := range own {
		if len(splits) > 0 {
			e.rt.Assign(readers[i], splits...)
		}
	}
}

// ReaderReady assigns the next range. Readers of lanes have all that they will get.
func (e *enumerator) ReaderReady(reader int) error {
	if e.limit < 0 {
		return nil
	}
	if s, ok := e.next(); ok {
		e.rt.Assign(reader, s)
	} else {
		e.rt.NoMoreSplits(reader)
	}
	return nil
}

// next takes the next range: those that came back first.
func (e *enumerator) next() (Split, bool) {
	if len(e.state.Returned) > 0 {
		s := e.state.Returned[0]
		e.state.Returned = e.state.Returned[1:]
		return s, true
	}
	size := min(max((e.limit+rangesWanted-1)/rangesWanted, rangeRowsMin), rangeRowsMax)
	for e.state.Next < e.limit {
		s := Split{From: e.state.Next, To: min(e.state.Next+size, e.limit), Step: 1, Next: e.state.Next}
		e.state.Next = s.To
		i := indexOf(e.state.Taken, s)
		if i < 0 {
			return s, true
		}
		e.state.Taken = slices.Delete(e.state.Taken, i, i+1)
	}
	return Split{}, false
}

func (e *enumerator) AddBack(splits []Split, reader int) error {
	if e.limit < 0 {
		e.rt.Assign(reader, splits...)
		return nil
	}
	e.state.Returned = append(e.state.Returned, splits...)
	slices.SortFunc(e.state.Returned, func(a, b Split) int { return cmp.Compare(a.From, b.From) })
	return nil
}

func (e *enumerator) Snapshot(int64) (Progress, error) { return clone(e.state), nil }

func (e *enumerator) Close() error { return nil }

func clone(p Progress) Progress {
	p.Returned, p.Taken = slices.Clone(p.Returned), slices.Clone(p.Taken)
	return p
}

// indexOf finds a split of the same identity.
func indexOf(in []Split, s Split) int {
	return slices.IndexFunc(in, func(o Split) bool { return o.From == s.From && o.To == s.To && o.Step == s.Step })
}
