// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/watermerge"
)

// CoFuncs are the functions of a plain process step with two inputs; one value is made for each subtask. Open and Close
// may be nil.
type CoFuncs[A, B, U, C any] struct {
	Open     func(ctx context.Context, rt *Runtime) error
	Process1 func(ctx *C, in *A, out *element.Out[U]) error
	Process2 func(ctx *C, in *B, out *element.Out[U]) error
	Close    func() error
}

// CoProcess calls one function for the records of each of two inputs, never both at once.
func CoProcess[A, B, U, C any](bind func(*Context) *C, funcs func() CoFuncs[A, B, U, C]) Step {
	return Step{Inputs: 2, New: func() Operator {
		p := &coProcessor[A, B, U, C]{funcs: funcs(), merger: watermerge.New(2)}
		p.life = lifecycle{start: p.funcs.Open, stop: p.funcs.Close}
		p.c = bind(&p.ctx)
		return p
	}}
}

type coProcessor[A, B, U, C any] struct {
	base[U]
	funcs  CoFuncs[A, B, U, C]
	life   lifecycle
	c      *C
	emit   *element.Out[U]
	merger *watermerge.Merger
}

var _ Operator = (*coProcessor[int, int, int, int])(nil)

// Port is the first or second input.
func (p *coProcessor[A, B, U, C]) Port(input int) Port {
	if input == 0 {
		return PortOf[A](&input2[A]{merged{input, p.merger, p}, p.process1})
	}
	return PortOf[B](&input2[B]{merged{input, p.merger, p}, p.process2})
}

// Open opens the user's value.
func (p *coProcessor[A, B, U, C]) Open(ctx context.Context, rt *Runtime) error {
	if err := p.base.Open(ctx, rt); err != nil {
		return err
	}
	p.emit = p.emitter()
	return p.life.open(ctx, rt)
}

// Close closes the user's value.
func (p *coProcessor[A, B, U, C]) Close() error { return p.life.close(p.rt) }

func (p *coProcessor[A, B, U, C]) process1(b *element.Batch[A]) (err error) {
	defer guard(&p.rt.Info, &err)
	p.received(b.Len())
	if err := eachRow(b, &p.base, p.emit, p.c, p.funcs.Process1); err != nil {
		return err
	}
	return p.flush(p.emit)
}

func (p *coProcessor[A, B, U, C]) process2(b *element.Batch[B]) (err error) {
	defer guard(&p.rt.Info, &err)
	p.received(b.Len())
	if err := eachRow(b, &p.base, p.emit, p.c, p.funcs.Process2); err != nil {
		return err
	}
	return p.flush(p.emit)
}

// control is what follows from the inputs of an operator together: an operator's own handling of it.
type control interface {
	Watermark(at int64) error
	Status(idle bool) error
	End() error
}

// merged turns the control of one of several inputs into that of their operator.
type merged struct {
	input  int
	merger *watermerge.Merger
	to     control
}

// Watermark advances the event time of the input.
func (m merged) Watermark(at int64) error { return m.pass(m.merger.Watermark(m.input, at)) }

// Status takes the input out of the minimum, or back in.
func (m merged) Status(idle bool) error { return m.pass(m.merger.Status(m.input, idle)) }

// End ends the input.
func (m merged) End() error { return m.pass(m.merger.End(m.input)) }

func (m merged) pass(c watermerge.Change) error {
	if c.Active {
		if err := m.to.Status(false); err != nil {
			return err
		}
	}
	if c.Advanced {
		if err := m.to.Watermark(c.Watermark); err != nil {
			return err
		}
	}
	if c.Idle {
		if err := m.to.Status(true); err != nil {
			return err
		}
	}
	if c.Ended {
		return m.to.End()
	}
	return nil
}

// input2 is one of several inputs of an operator.
type input2[T any] struct {
	merged
	process func(b *element.Batch[T]) error
}

// Process handles a batch.
func (i *input2[T]) Process(b *element.Batch[T]) error { return i.process(b) }
