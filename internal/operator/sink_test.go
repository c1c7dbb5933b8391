// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/statebackend"
)

// sum is a sink that adds up numbers and commits the sums; its writer's state is the number of commits it prepared.
type sum struct {
	writer    *summing
	committed [][]int64
}

type summing struct {
	total, prepared int64
	restored        []int64
	closed          bool
}

func (s *sum) NewWriter(
	_ context.Context, _ connector.RuntimeContext, restored []int64,
) (connector.Writer[int64, int64, int64], error) {
	s.writer = &summing{restored: restored}
	return s.writer, nil
}

func (s *sum) NewCommitter(context.Context) (connector.Committer[int64], error) { return s, nil }

func (s *sum) Commit(_ context.Context, sums []int64) error {
	s.committed = append(s.committed, sums)
	return nil
}

func (s *sum) Close() error { return nil }
func (s *sum) Withdraw(_ context.Context, jobID string) error {
	return errors.New("withdrawn from " + jobID)
}

func (s *sum) Reach(_ context.Context, jobID, by string) error {
	return errors.New(by + " reaches " + jobID)
}

func (s *sum) Probe(_ context.Context, run connector.NewRun) error {
	return errors.New("probed by " + run.JobID)
}

func (w *summing) Write(_ context.Context, b *element.Batch[int64]) error {
	for _, n := range b.Rows() {
		if n < 0 {
			return errors.New("disk full")
		}
		w.total += n
	}
	return nil
}

func (w *summing) PrepareCommit(context.Context, int64) ([]int64, error) {
	w.prepared++
	if w.total == 0 {
		return nil, nil
	}
	total := w.total
	w.total = 0
	return []int64{total}, nil
}

func (w *summing) Snapshot(int64) (int64, error) { return w.prepared, nil }
func (w *summing) Close() error                  { w.closed = true; return nil }

type sinkBench struct {
	t    *testing.T
	of   *sum
	step operator.SinkStep
	op   operator.SinkOperator
	in   operator.Input[int64]
}

func openSink(t *testing.T, restored statebackend.Reader) *sinkBench {
	t.Helper()
	b := &sinkBench{t: t, of: &sum{}}
	var err error
	if b.step, err = operator.Sink(b.of); err != nil {
		t.Fatal(err)
	}
	b.op = b.step.New().(operator.SinkOperator)
	rt := runtime("sums")
	rt.UID, rt.Restored = "out", restored
	if err := b.op.Open(t.Context(), rt); err != nil {
		t.Fatal(err)
	}
	if b.in, err = operator.InputOf[int64](b.op.Port(0)); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *sinkBench) write(numbers ...int64) error {
	batch := element.NewBatch[int64](8)
	for _, n := range numbers {
		*batch.Append() = n
	}
	return b.in.Process(batch)
}

// commit commits what is prepared and returns it.
func (b *sinkBench) commit(checkpoint int64) []int64 {
	b.t.Helper()
	data, err := b.op.Prepared(checkpoint)
	if err != nil {
		b.t.Fatal(err)
	}
	c, err := b.step.NewCommitter(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	b.of.committed = nil
	if err := c.Commit(b.t.Context(), [][]byte{nil, data}); err != nil {
		b.t.Fatal(err)
	}
	if len(b.of.committed) == 0 {
		return nil
	}
	return b.of.committed[0]
}

func (b *sinkBench) barrier(id int64) {
	b.t.Helper()
	if err := b.op.Barrier(statebackend.Checkpoint{ID: id}); err != nil {
		b.t.Fatal(err)
	}
}

func TestSinkKeepsCommittablesUntilTold(t *testing.T) {
	b := openSink(t, nil)
	if b.op.Uncommitted() {
		t.Error("uncommitted before the first record")
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(b.write(1, 2))
	if !b.op.Uncommitted() {
		t.Error("nothing uncommitted after a write")
	}
	b.barrier(1)
	must(b.write(10))
	b.barrier(2)
	if got := b.commit(2); !slices.Equal(got, []int64{3, 10}) {
		t.Errorf("prepared %d", got)
	}
	must(b.write(20))
	b.barrier(3)
	must(b.op.Committed(2))
	if got := b.commit(3); !slices.Equal(got, []int64{20}) || !b.op.Uncommitted() {
		t.Errorf("after commit 2: prepared %d, uncommitted %v", got, b.op.Uncommitted())
	}
	must(b.in.End())
	if !b.op.Uncommitted() {
		t.Error("the end commits nothing by itself")
	}
	must(b.op.Committed(4))
	if got := b.commit(4); got != nil || b.op.Uncommitted() {
		t.Errorf("after commit 4: prepared %d, uncommitted %v", got, b.op.Uncommitted())
	}
}

func TestCommitterGetsAllSubtasksInOrder(t *testing.T) {
	var prepared [][]byte
	for _, n := range []int64{5, 6, 7} {
		b := openSink(t, nil)
		if err := b.write(n); err != nil {
			t.Fatal(err)
		}
		b.barrier(1)
		data, err := b.op.Prepared(1)
		if err != nil {
			t.Fatal(err)
		}
		prepared = append(prepared, data)
	}
	b := openSink(t, nil)
	c, err := b.step.NewCommitter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Commit(t.Context(), prepared); err != nil {
		t.Fatal(err)
	}
	if len(b.of.committed) != 1 || !slices.Equal(b.of.committed[0], []int64{5, 6, 7}) {
		t.Errorf("committed %d", b.of.committed)
	}
	if err := c.Commit(t.Context(), [][]byte{nil, []byte("junk")}); err == nil || !strings.Contains(err.Error(), "subtask 1") {
		t.Errorf("junk: %v", err)
	}
}

func TestSinkRestoresWriterState(t *testing.T) {
	b := openSink(t, nil)
	b.barrier(1)
	b.barrier(2)
	store := statebackend.NewMemory(8)
	if err := store.Take(statebackend.Checkpoint{ID: 2}, 1, 0, b.op.States()...); err != nil {
		t.Fatal(err)
	}
	reader, err := store.Reader(2, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := openSink(t, reader).of.writer.restored; !slices.Equal(got, []int64{2}) {
		t.Errorf("restored %d", got)
	}
}

func TestSinkFaults(t *testing.T) {
	b := openSink(t, nil)
	if err := b.write(-1); err == nil || err.Error() != `sink "sums" (uid "out"): write: disk full` {
		t.Errorf("write: %v", err)
	}
	if err := b.op.Connect("", b.op.Port(0)); err == nil {
		t.Error("a sink has an output")
	}
	if err := b.op.Close(); err != nil || !b.of.writer.closed {
		t.Errorf("close: %v", err)
	}
	if err := b.step.Withdraw(t.Context(), "job 7"); err == nil || err.Error() != "withdrawn from job 7" {
		t.Errorf("withdraw: %v", err)
	}
	if err := b.step.Reach(t.Context(), "job 7", "tm"); err == nil || err.Error() != "tm reaches job 7" {
		t.Errorf("reach: %v", err)
	}
	if err := b.step.Probe(t.Context(), connector.NewRun{JobID: "job 7"}); err == nil || err.Error() != "probed by job 7" {
		t.Errorf("probe: %v", err)
	}
}

// printed is a sink without two phases: what it flushed is out.
type printed struct {
	pending, out []string
}

func (p *printed) NewWriter(
	context.Context, connector.RuntimeContext, []connector.None,
) (connector.Writer[string, connector.None, connector.None], error) {
	return p, nil
}

func (p *printed) NewCommitter(context.Context) (connector.Committer[connector.None], error) {
	return nil, nil
}

func (p *printed) Write(_ context.Context, b *element.Batch[string]) error {
	p.pending = append(p.pending, b.Rows()...)
	return nil
}

func (p *printed) PrepareCommit(context.Context, int64) ([]connector.None, error) {
	p.out, p.pending = append(p.out, p.pending...), nil
	return nil, nil
}

func (p *printed) Snapshot(int64) (connector.None, error) { return connector.None{}, nil }
func (p *printed) Close() error                           { return nil }

func TestSinkOfOnePhaseFlushesAtItsEnd(t *testing.T) {
	p := &printed{}
	step, err := operator.Sink(p)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := step.NewCommitter(t.Context()); c != nil || err != nil || len(step.States) != 0 || step.Probe != nil {
		t.Errorf("committer %v, %v, states %v", c, err, step.States)
	}
	op := step.New().(operator.SinkOperator)
	if err := op.Open(t.Context(), runtime("print")); err != nil {
		t.Fatal(err)
	}
	in, err := operator.InputOf[string](op.Port(0))
	if err != nil {
		t.Fatal(err)
	}
	write := func(s string) {
		t.Helper()
		b := element.NewBatch[string](1)
		*b.Append() = s
		if err := in.Process(b); err != nil {
			t.Fatal(err)
		}
	}
	write("a")
	if err := op.Barrier(statebackend.Checkpoint{ID: 1}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.out, []string{"a"}) || op.Uncommitted() || len(op.States()) != 0 {
		t.Errorf("out %v, uncommitted %v", p.out, op.Uncommitted())
	}
	write("b")
	if err := in.End(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.out, []string{"a", "b"}) || op.Uncommitted() {
		t.Errorf("out %v, uncommitted %v", p.out, op.Uncommitted())
	}
	if data, err := op.Prepared(1); data != nil || err != nil {
		t.Errorf("prepared %q, %v", data, err)
	}
}
