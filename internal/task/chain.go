// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/watermerge"
)

// chain is the operators of a task, and what leads into and out of them.
type chain struct {
	// steps are in the order of the vertex's nodes: each behind the one that feeds it.
	steps []*step
	// source is the operator of the first step, if that is a source.
	source operator.SourceOperator
	sinks  []*step
	gate   *exchange.Gate
	inputs []*input
	// place is the place of a channel of the gate among those of its input.
	place   []int
	outputs []exchange.Output
	// partitions are what outputs write into.
	partitions []*exchange.Partition
	// loan is what strings of the batch at hand lie in; nil in tasks to which nothing is lent.
	loan *element.Loan
}

// step is one operator of the chain.
type step struct {
	node *graph.StreamNode
	op   operator.Operator
	// sink is op, if that is one.
	sink    operator.SinkOperator
	states  []statebackend.State
	metrics *operator.Metrics
	opened  bool
	// wakeAt is when the operator wants a tick; zero if it does not. woken is set to tick it now.
	wakeAt time.Time
	woken  atomic.Bool
	// size is what states held when they were last looked at.
	size atomic.Pointer[statebackend.Size]
}

// input is one input of the head.
type input struct {
	port operator.Port
	// merger is over the channels of the input.
	merger *watermerge.Merger
}

// wire makes operators and connects them, to each other and to the exchange.
func (t *subtask) wire() error {
	v := t.config.Vertex
	if v.Borrows() {
		t.loan = new(element.Loan)
	}
	for _, n := range v.Nodes {
		s := &step{node: n, op: n.New(), metrics: operator.NewMetrics()}
		if s.sink, _ = s.op.(operator.SinkOperator); s.sink != nil {
			t.sinks = append(t.sinks, s)
		}
		t.steps = append(t.steps, s)
	}
	if v.Source() != nil {
		var ok bool
		if t.source, ok = t.steps[0].op.(operator.SourceOperator); !ok {
			return fmt.Errorf("wiring: step %q is %T, no source", v.Nodes[0].Name, t.steps[0].op)
		}
	}
	for _, e := range v.Links {
		if err := t.link(e, t.stepOf(e.To).op.Port(e.Input)); err != nil {
			return err
		}
	}
	for _, e := range v.Out { // t.outputs is in the same order
		if err := t.wireOutput(e); err != nil {
			return err
		}
	}
	return t.wireInputs()
}

func (t *subtask) stepOf(node int) *step {
	return t.steps[slices.IndexFunc(t.steps, func(s *step) bool { return s.node.ID == node })]
}

// link connects an output of a step to a port.
func (t *subtask) link(e *graph.StreamEdge, to operator.Port) error {
	from := t.stepOf(e.From)
	if err := from.op.Connect(e.Tag, to); err != nil {
		return fmt.Errorf("connect step %q: %w", from.node.Name, err)
	}
	return nil
}

func (t *subtask) wireOutput(e *graph.JobEdge) error {
	id := exchange.PartitionID{Attempt: t.config.Attempt, Edge: e.OutIndex}
	p, err := t.config.Exchange.CreatePartition(id, e.Consumers(), serdeOf(e))
	if err != nil {
		return err
	}
	if !t.lent(nil, p) {
		return errCanceled
	}
	out, port := e.Stream.NewOutput(graph.OutputConfig{
		Senders: p.Senders(), Subtask: t.config.Subtask, KeyGroups: e.To.MaxParallelism, RowsMax: t.config.RowsMax,
		Partitioning: e.Stream.Partitioning, Before: t.before(e), Loan: t.loan,
	})
	t.outputs, t.partitions = append(t.outputs, out), append(t.partitions, p)
	return t.link(e.Stream, port)
}

// before returns what is done before records go to a consumer by an edge because a batch is full: what is gathered for the
// same consumer on other edges goes first. So a join sees the records of a task about in the order in which they were
// made, though the batches of one of its streams fill much faster than those of the other. Nil where there is no such edge.
func (t *subtask) before(e *graph.JobEdge) func(consumer int) error {
	var beside []int
	for i, o := range t.config.Vertex.Out {
		if o != e && o.To == e.To && o.Consumers() == e.Consumers() && addressed(o) && addressed(e) {
			beside = append(beside, i)
		}
	}
	if beside == nil {
		return nil
	}
	return func(consumer int) error {
		for _, i := range beside {
			if err := t.outputs[i].FlushTo(consumer); err != nil {
				return err
			}
		}
		return nil
	}
}

// addressed reports whether the consumer of each record of an edge is given.
func addressed(e *graph.JobEdge) bool {
	return e.Stream.Partitioning == exchange.Hash || e.Stream.Partitioning == exchange.Forward
}

func serdeOf(e *graph.JobEdge) exchange.Serde {
	if e.Stream.Serde == nil {
		return nil
	}
	return e.Stream.Serde(e.Strings)
}

// wireInputs makes the gate and connects its channels.
func (t *subtask) wireInputs() error {
	v := t.config.Vertex
	if len(v.In) == 0 {
		return nil
	}
	var inputs []int // of each channel
	var serdes []exchange.Serde
	counts := make([]int, v.Nodes[0].Inputs)
	for _, e := range v.In {
		serde := serdeOf(e)
		for range e.Producers(t.config.Subtask) {
			inputs = append(inputs, e.Stream.Input)
			serdes = append(serdes, serde)
			t.place = append(t.place, counts[e.Stream.Input])
			counts[e.Stream.Input]++
		}
	}
	if len(inputs) != len(t.config.Inputs) {
		return fmt.Errorf("wiring: %d channels for a task that has %d", len(t.config.Inputs), len(inputs))
	}
	for i, n := range counts {
		t.inputs = append(t.inputs, &input{port: t.steps[0].op.Port(i), merger: watermerge.New(n)})
	}
	t.gate = exchange.NewGate(inputs, t.mail.signal, exchange.GateOptions{Announce: t.mail.announce})
	if !t.lent(t.gate, nil) {
		return errCanceled
	}
	for i, in := range t.config.Inputs {
		src := exchange.Source{ID: in.Producer, Subpartition: in.Subpartition, Address: in.Address}
		if err := t.config.Exchange.Connect(t.gate, i, src, serdes[i]); err != nil {
			return fmt.Errorf("connect to partition %v: %w", in.Producer, err)
		}
	}
	return nil
}

// open opens the operators, the last of the chain first, so that one that emits in Open finds all behind it ready.
func (t *subtask) open() error {
	for _, s := range slices.Backward(t.steps) {
		if t.canceled.Load() {
			return errCanceled
		}
		if err := t.openStep(s); err != nil {
			return fmt.Errorf("open step %q: %w", s.node.Name, err)
		}
	}
	t.publishSizes()
	return nil
}

func (t *subtask) openStep(s *step) error {
	v := t.config.Vertex
	restored, err := t.config.State.Restored(s.node.OperatorID, t.config.Subtask, v.Parallelism, v.MaxParallelism)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	s.opened = true // Close is called also after a failed Open
	err = s.op.Open(t.runCtx, &operator.Runtime{
		Info: operator.Info{
			JobID: t.config.JobID, JobName: t.config.JobName, Vertex: v.Name, UID: s.node.UID, Name: s.node.Name,
			Subtask: t.config.Subtask, Parallelism: v.Parallelism, MaxParallelism: v.MaxParallelism,
			Attempt: t.config.Attempt,
		},
		Logger:  t.config.Logger.With("step", s.node.Name, "uid", s.node.UID),
		Metrics: s.metrics,
		Now:     t.clock.Now,
		WakeAt:  func(at time.Time) { s.wakeAt = at },
		Wake: func() {
			s.woken.Store(true)
			t.mail.tick()
		},
		RowsMax:  t.config.RowsMax,
		Restored: restored,
		Canceled: t.runCtx.Done(),
	})
	if err != nil {
		return err
	}
	s.states = s.op.States()
	return nil
}

// closeOperators closes what was opened, head first: nothing emits into a step that is closed.
func (t *subtask) closeOperators() error {
	var errs []error
	for _, s := range t.steps {
		if !s.opened {
			continue
		}
		if err := t.guarded(s.op.Close); err != nil {
			errs = append(errs, fmt.Errorf("close step %q: %w", s.node.Name, err))
		}
	}
	return errors.Join(errs...)
}

// uncommitted reports whether a sink keeps committables.
func (t *subtask) uncommitted() bool {
	return slices.ContainsFunc(t.sinks, func(s *step) bool { return s.sink.Uncommitted() })
}
