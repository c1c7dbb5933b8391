// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"fmt"
	"sync/atomic"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/invariants"
)

// Output is one output of an operator: what it is given goes to every receiver connected to it. All but the last get a
// batch shared, so that none of them changes what the next one reads; the last gets it as its only owner.
type Output[U any] struct {
	to []Input[U]
	// sent counts records; nil before open.
	sent *atomic.Int64
}

// Connect adds a receiver. It fails if that takes records of another type.
func (o *Output[U]) Connect(p Port) error {
	in, err := InputOf[U](p)
	if err != nil {
		return err
	}
	o.to = append(o.to, in)
	return nil
}

func (o *Output[U]) open(m *Metrics) { o.sent = &m.RecordsOut }

// Process sends a batch on, and may swap its storage as any receiver may.
func (o *Output[U]) Process(b *element.Batch[U]) error {
	o.sent.Add(int64(b.Len()))
	if len(o.to) == 1 {
		return o.to[0].Process(b)
	}
	return o.fanOut(b)
}

func (o *Output[U]) fanOut(b *element.Batch[U]) error {
	if len(o.to) == 0 {
		return nil
	}
	last := len(o.to) - 1
	b.Hold()
	for _, in := range o.to[:last] {
		if err := in.Process(b); err != nil {
			b.Release()
			return err
		}
	}
	b.Release()
	return o.to[last].Process(b)
}

// Watermark tells all receivers.
func (o *Output[U]) Watermark(at int64) error {
	for _, in := range o.to {
		if err := in.Watermark(at); err != nil {
			return err
		}
	}
	return nil
}

// Status tells all receivers.
func (o *Output[U]) Status(idle bool) error {
	for _, in := range o.to {
		if err := in.Status(idle); err != nil {
			return err
		}
	}
	return nil
}

// End tells all receivers.
func (o *Output[U]) End() error {
	for _, in := range o.to {
		if err := in.End(); err != nil {
			return err
		}
	}
	return nil
}

// sides are the side outputs of an operator by tag. Their record types are known only where user code emits: until then
// they are ports.
type sides struct {
	// ports are in the order in which they were connected.
	ports []sidePort
	// open are the side outputs that user code emitted to, in that order.
	open []side
	// err is the first fault of an emit, reported by flush.
	err error
}

type sidePort struct {
	tag string
	Port
}

// side is a sideOutput of some record type.
type side interface {
	tag() string
	flush() error
}

type sideOutput[V any] struct {
	name string
	// emit is nil where nobody reads the tag.
	emit *element.Out[V]
}

func (s *sideOutput[V]) tag() string { return s.name }

func (s *sideOutput[V]) flush() error {
	if s.emit == nil {
		return nil
	}
	return s.emit.Flush()
}

func (s *sides) connect(tag string, p Port) { s.ports = append(s.ports, sidePort{tag, p}) }

// sideOf returns the side output of that tag; there are a few at most, so a scan beats a map.
func sideOf[V any](s *sides, tag string, rt *Runtime) (*sideOutput[V], error) {
	for _, o := range s.open {
		if o.tag() != tag {
			continue
		}
		typed, ok := o.(*sideOutput[V])
		if !ok {
			return nil, fmt.Errorf("side output %q takes %T, not records of %T", tag, o, *new(V))
		}
		return typed, nil
	}
	o := &sideOutput[V]{name: tag}
	to := &Output[V]{}
	to.open(rt.Metrics)
	for _, p := range s.ports {
		if p.tag != tag {
			continue
		}
		if err := to.Connect(p.Port); err != nil {
			return nil, fmt.Errorf("side output %q: %w", tag, err)
		}
	}
	if len(to.to) > 0 {
		o.emit = element.NewOut(rowsFor[V](rt), to.Process)
	}
	s.open = append(s.open, o)
	return o, nil
}

// flush sends on what was emitted.
func (s *sides) flush() error {
	for _, o := range s.open {
		if err := o.flush(); err != nil {
			return err
		}
	}
	err := s.err
	s.err = nil
	return err
}

// each calls f for every port of every tag.
func (s *sides) each(f func(Port) error) error {
	for _, p := range s.ports {
		if err := f(p.Port); err != nil {
			return err
		}
	}
	return nil
}

// rowsFor is how many rows of V an operator collects before it sends them on.
func rowsFor[V any](rt *Runtime) int {
	rows := element.RowsFor[V](1)
	if rt.RowsMax > 0 {
		rows = min(rows, rt.RowsMax)
	}
	return rows
}

// moveTimes gives out the event times of in: by exchange where in has one owner, else by a copy. out has as many rows
// as in and no times; spare is storage for a column, and takes what was not used of it.
func moveTimes[T, U any](in *element.Batch[T], out *element.Batch[U], spare *[]int64) {
	times := in.Times()
	if times == nil {
		return
	}
	column := *spare
	if cap(column) < len(times) {
		column = make([]int64, len(times), max(len(times), out.Limit()))
	}
	column = column[:len(times)]
	*spare = nil
	if in.Shared() {
		copy(column, times)
		out.SetTimes(column)
		return
	}
	in.SetTimes(column)
	out.SetTimes(times)
}

// blank makes out a batch of n rows without columns, whose times storage is kept in spare.
func blank[U any](out *element.Batch[U], n int, spare *[]int64) []U {
	if times := out.Times(); cap(times) > cap(*spare) {
		*spare = times
	}
	out.SetTimes(nil)
	out.SetHashes(nil)
	out.Resize(n)
	return out.Rows()
}

// mangle overwrites rows that were lent to a receiver, in test builds: whoever kept a pointer into them finds out.
func mangle[U any](b *element.Batch[U]) {
	if invariants.Enabled {
		clear(b.Rows()[:cap(b.Rows())])
	}
}
