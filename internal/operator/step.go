// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/statebackend"
)

// Step is what the graph has to know of an operator: constructors return one, and stream puts it into a node.
type Step struct {
	// New makes the operator of one subtask.
	New func() Operator
	// Inputs is the number of inputs; zero makes a source.
	Inputs int
	// States are the pieces of state that the operator has, in the order of Operator.States.
	States []statebackend.Spec
	// KeepsText says that state can hold strings or byte slices of records. The task of such a step is lent none.
	KeepsText bool
	// Combine is a *Combine of the types of the step where it takes records that were combined, else nil.
	Combine any
}

// keepsText is KeepsText of a step whose state is rows of S by keys of K.
func keepsText[K, S any]() bool { return codec.HoldsText[K]() || codec.HoldsText[S]() }

// stateless makes the Step of an operator with one input and no state.
func stateless(op func() Operator) Step { return Step{New: op, Inputs: 1} }

// base is what operators with a main output of U share: wiring, context, and passing control on.
type base[U any] struct {
	Base
	rt  *Runtime
	ctx Context
	out Output[U]
}

// Connect wires an output.
func (s *base[U]) Connect(tag string, to Port) error {
	if tag != "" {
		s.ctx.sides.connect(tag, to)
		return nil
	}
	return s.out.Connect(to)
}

// Open prepares context and output.
func (s *base[U]) Open(_ context.Context, rt *Runtime) error {
	s.rt = rt
	s.ctx.open(rt)
	s.out.open(rt.Metrics)
	return nil
}

// received counts the records of a batch.
func (s *base[U]) received(n int) { s.rt.Metrics.RecordsIn.Add(int64(n)) }

// Watermark takes note and passes it on.
func (s *base[U]) Watermark(at int64) error {
	s.note(at)
	return s.passWatermark(at)
}

func (s *base[U]) note(at int64) {
	s.ctx.watermark = at
	s.rt.Metrics.Watermark.Store(at)
}

func (s *base[U]) passWatermark(at int64) error {
	if err := s.out.Watermark(at); err != nil {
		return err
	}
	return s.ctx.sides.each(func(p Port) error { return p.Watermark(at) })
}

// Status passes it on.
func (s *base[U]) Status(idle bool) error {
	if err := s.out.Status(idle); err != nil {
		return err
	}
	return s.ctx.sides.each(func(p Port) error { return p.Status(idle) })
}

// End passes it on.
func (s *base[U]) End() error {
	if err := s.out.End(); err != nil {
		return err
	}
	return s.ctx.sides.each(Port.End)
}

// emitter makes what user functions of this step write to.
func (s *base[U]) emitter() *element.Out[U] {
	return element.NewOut(rowsFor[U](s.rt), s.out.Process)
}

// flush sends on what user functions emitted, to the main and to the side outputs.
func (s *base[U]) flush(emit *element.Out[U]) error {
	if err := emit.Flush(); err != nil {
		return err
	}
	return s.ctx.sides.flush()
}
