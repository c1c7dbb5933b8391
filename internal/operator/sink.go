// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/statebackend"
)

// writerState is the name of the state of a sink.
const writerState = "writer"

// SinkStep is a Step that writes, and its part on the JobMaster.
type SinkStep struct {
	Step
	// NewCommitter returns nil where the sink commits nothing.
	NewCommitter func(ctx context.Context) (Committer, error)
	// Probe refuses a run that begins and whose results would mix with those of another; nil where the sink has no such
	// check.
	Probe func(ctx context.Context, run connector.NewRun) error
	// Withdraw takes back what Probe claimed for a run that does not start; nil where Probe is.
	Withdraw func(ctx context.Context, jobID string) error
	// Reach tells whether this process sees what Probe prepared; nil where the sink has no such check.
	Reach func(ctx context.Context, jobID, by string) error
}

// Committer is connector.Committer with committables encoded, as Prepared returns them, one element for each subtask.
type Committer interface {
	Commit(ctx context.Context, prepared [][]byte) error
	Close() error
}

// Sink writes to a connector's sink. It fails if the writer's state or the committables can't be stored.
func Sink[T, W, C any](s connector.Sink[T, W, C]) (SinkStep, error) {
	state, err := codec.For[W]()
	if err != nil {
		return SinkStep{}, fmt.Errorf("state of the sink's writer: %w", err)
	}
	committables, err := codec.For[C]()
	if err != nil {
		return SinkStep{}, fmt.Errorf("committables of the sink: %w", err)
	}
	step := SinkStep{
		Step: Step{Inputs: 1, New: func() Operator {
			return &sink[T, W, C]{of: s, codec: committables, commits: !isNone[C]()}
		}},
		NewCommitter: newCommitter(s, committables),
	}
	if !isNone[W]() {
		step.States = []statebackend.Spec{
			{Name: writerState, Kind: statebackend.List, Schema: state.Schema().Marshal()},
		}
	}
	if p, ok := any(s).(connector.Prober); ok {
		step.Probe, step.Withdraw = p.Probe, p.Withdraw
	}
	if r, ok := any(s).(connector.Reacher); ok {
		step.Reach = r.Reach
	}
	return step, nil
}

func isNone[X any]() bool {
	_, ok := any(*new(X)).(connector.None)
	return ok
}

type sink[T, W, C any] struct {
	Base
	of    connector.Sink[T, W, C]
	codec *codec.Codec[C]
	// commits is false for a sink without two phases: what it has flushed is out.
	commits bool
	rt      *Runtime
	// runCtx ends with the attempt.
	runCtx context.Context
	writer connector.Writer[T, W, C]
	// state is nil where the writer has none.
	state *statebackend.OperatorList[W]
	// dirty is set while records were written that no PrepareCommit has covered.
	dirty bool
	// kept are the committables that are not known to be committed, by rising checkpoint.
	kept []prepared[C]
	// last is the checkpoint whose barrier came last.
	last int64
}

type prepared[C any] struct {
	checkpoint   int64
	committables []C
}

var (
	_ SinkOperator = (*sink[int, int, int])(nil)
	_ Input[int]   = (*sink[int, int, int])(nil)
)

// Port is the one input.
func (s *sink[T, W, C]) Port(int) Port { return PortOf[T](s) }

// Connect fails: a sink has no outputs.
func (s *sink[T, W, C]) Connect(tag string, _ Port) error {
	return fmt.Errorf("wiring: a sink has no output %q", tag)
}

// Open makes the writer with the states that the restored checkpoint holds for this subtask. The committables of that
// checkpoint are not among them: the JobMaster has committed them before.
func (s *sink[T, W, C]) Open(ctx context.Context, rt *Runtime) (err error) {
	s.rt, s.runCtx = rt, ctx
	defer guard(&rt.Info, &err)
	var restored []W
	if !isNone[W]() {
		if s.state, err = statebackend.NewList[W](writerState, statebackend.List); err != nil {
			return err
		}
		if rt.Restored != nil {
			if err := s.state.Restore(rt.Restored); err != nil {
				return err
			}
		}
		restored = slices.Clone(s.state.Elements())
	}
	if s.writer, err = s.of.NewWriter(ctx, connectorRuntime{rt, rt.WakeAt}, restored); err != nil {
		return s.at("open a writer", err)
	}
	return nil
}

// at says which call of the connector failed.
func (s *sink[T, W, C]) at(call string, err error) error {
	return called(fmt.Sprintf("sink %q (uid %q): %s", s.rt.Name, s.rt.UID, call), err)
}

// Process writes a batch.
func (s *sink[T, W, C]) Process(b *element.Batch[T]) (err error) {
	defer guard(&s.rt.Info, &err)
	n := int64(b.Len())
	s.rt.Metrics.RecordsIn.Add(n)
	s.dirty = true
	if err := s.writer.Write(s.runCtx, b); err != nil {
		return s.at("write", err)
	}
	s.rt.Metrics.RecordsOut.Add(n)
	return nil
}

// Watermark is noted only.
func (s *sink[T, W, C]) Watermark(at int64) error {
	s.rt.Metrics.Watermark.Store(at)
	return nil
}

// Status means nothing to a sink.
func (s *sink[T, W, C]) Status(bool) error { return nil }

// End flushes a sink without two phases. The output of one with them waits for the checkpoint that commits it.
func (s *sink[T, W, C]) End() (err error) {
	if s.commits {
		return nil
	}
	defer guard(&s.rt.Info, &err)
	return s.prepare(s.last)
}

// States lists the state of the writer, if it has any.
func (s *sink[T, W, C]) States() []statebackend.State {
	if s.state == nil {
		return nil
	}
	return []statebackend.State{s.state}
}

// Barrier makes what was written durable, and takes the writer's state.
func (s *sink[T, W, C]) Barrier(cp statebackend.Checkpoint) (err error) {
	defer guard(&s.rt.Info, &err)
	s.last = cp.ID
	if err := s.prepare(cp.ID); err != nil {
		return err
	}
	if s.state == nil {
		return nil
	}
	state, err := s.writer.Snapshot(cp.ID)
	if err != nil {
		return s.at("snapshot", err)
	}
	s.state.Set([]W{state})
	return nil
}

func (s *sink[T, W, C]) prepare(checkpoint int64) error {
	committables, err := s.writer.PrepareCommit(s.runCtx, checkpoint)
	if err != nil {
		return s.at("prepare a commit", err)
	}
	s.dirty = false
	if s.commits && len(committables) > 0 {
		s.kept = append(s.kept, prepared[C]{checkpoint, committables})
	}
	return nil
}

// Prepared encodes all committables that are kept.
func (s *sink[T, W, C]) Prepared(int64) (data []byte, err error) {
	defer guard(&s.rt.Info, &err)
	var all []C
	for _, p := range s.kept {
		all = append(all, p.committables...)
	}
	return encodeRows(s.codec, all), nil
}

// Committed forgets the committables of that checkpoint and of older ones.
func (s *sink[T, W, C]) Committed(checkpoint int64) error {
	s.kept = slices.DeleteFunc(s.kept, func(p prepared[C]) bool { return p.checkpoint <= checkpoint })
	return nil
}

// Uncommitted tells whether there is output that no commit has covered.
func (s *sink[T, W, C]) Uncommitted() bool { return s.commits && (s.dirty || len(s.kept) > 0) }

// Close closes the writer.
func (s *sink[T, W, C]) Close() (err error) {
	if s.writer == nil {
		return nil
	}
	defer guard(&s.rt.Info, &err)
	if err := s.writer.Close(); err != nil {
		return s.at("close", err)
	}
	return nil
}

// committer is a connector's committer behind the codec.
type committer[C any] struct {
	of    connector.Committer[C]
	codec *codec.Codec[C]
}

// committerName names the code in which a panic is caught; the JobMaster, which knows the sink, says which one.
const committerName = "committer"

func newCommitter[T, W, C any](s connector.Sink[T, W, C], c *codec.Codec[C]) func(context.Context) (Committer, error) {
	return func(ctx context.Context) (_ Committer, err error) {
		if isNone[C]() {
			return nil, nil
		}
		defer guard(&Info{Name: committerName}, &err)
		of, err := s.NewCommitter(ctx)
		if err != nil {
			return nil, fmt.Errorf("open a committer: %w", err)
		}
		if of == nil {
			return nil, errors.New("open a committer: the sink has committables, but no committer for them")
		}
		return &committer[C]{of, c}, nil
	}
}

// Commit commits what all subtasks prepared, in order of subtask, in one call. There is none for nothing.
func (c *committer[C]) Commit(ctx context.Context, prepared [][]byte) (err error) {
	defer guard(&Info{Name: committerName}, &err)
	var all []C
	for subtask, data := range prepared {
		rows, err := decodeRows(c.codec, data)
		if err != nil {
			return fmt.Errorf("decode committables of subtask %d: %w", subtask, err)
		}
		all = append(all, rows...)
	}
	if len(all) == 0 {
		return nil
	}
	return c.of.Commit(ctx, all)
}

// Close ends the committer.
func (c *committer[C]) Close() (err error) {
	defer guard(&Info{Name: committerName}, &err)
	return c.of.Close()
}
