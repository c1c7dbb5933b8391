// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/statebackend"
)

// Input takes what flows into one input of an operator: batches, and the control behind them. One dynamic call a batch.
// All calls come from the goroutine of the task. Barriers don't pass here: the task drives them (see Operator).
//
// An implementation holds no records back when a call returns, except as state: what it emitted is sent on. Strings and byte
// slices may lie in memory that is good during the call only, unless Step.KeepsText says that state can hold them.
type Input[T any] interface {
	// Process handles a batch, which is the callee's until the call returns: it may change rows in place and swap the
	// storage, unless b is Shared. It may block for credit downstream. An error fails the task.
	Process(b *element.Batch[T]) error
	// Watermark advances the event time of this input; it never goes back. The operator fires what is due and forwards
	// the least of its inputs.
	Watermark(at int64) error
	// Status tells that this input went idle or came back.
	Status(idle bool) error
	// End tells that nothing follows on this input. An end of time, if there is one, came before as MaxWatermark.
	End() error
}

// Port is an Input whose record type the holder does not know.
type Port interface {
	// Deliver asserts the type of b, once a batch, and processes it. It does not release b.
	Deliver(b element.Any) error
	Watermark(at int64) error
	Status(idle bool) error
	End() error
}

// PortOf erases the type of an input.
func PortOf[T any](in Input[T]) Port { return port[T]{in} }

type port[T any] struct{ Input[T] }

func (p port[T]) Deliver(b element.Any) error {
	if t, ok := b.(*element.Batch[T]); ok {
		return p.Process(t)
	}
	if o, ok := p.Input.(otherwise); ok && o.combinedPort() != nil {
		return o.combinedPort().Deliver(b)
	}
	_, err := element.Assert[T](b)
	return err
}

// otherwise is an input that takes batches of a second type: records that were combined on their way.
type otherwise interface{ combinedPort() Port }

// InputOf is the inverse of PortOf: it fails where the record types of two wired steps differ.
func InputOf[T any](p Port) (Input[T], error) {
	t, ok := p.(port[T])
	if !ok {
		return nil, fmt.Errorf("wiring: port is %T, want records of %T", p, *new(T))
	}
	return t.Input, nil
}

// Operator is one step of one subtask, as the task sees it. Embed Base for the methods that a step does not need.
//
// Order of calls, all from the task's goroutine:
//
//	Connect*, Open, (Process | Watermark | Status | Tick | Barrier | Completed | Aborted)*, End of all inputs, Close
//
// Close is called also after a failed Open, and at any time when the task is canceled.
type Operator interface {
	// Port returns the numbered input.
	Port(input int) Port
	// Connect wires an output to a receiver: "" is the main output, any other tag a side output. Several receivers of
	// one output each get every batch.
	Connect(tag string, to Port) error
	// Open prepares the operator; restored state is loaded before it returns. ctx ends with the attempt.
	Open(ctx context.Context, rt *Runtime) error
	// States lists the pieces of state, the same in every subtask; the task snapshots each of them.
	States() []statebackend.State
	// Barrier is called between batches when the barrier of a checkpoint has come from all inputs, head of the chain
	// first, before Begin of the States and before the barrier goes on to the outputs. A step that holds records back
	// outside its state sends them on here.
	Barrier(cp statebackend.Checkpoint) error
	// Completed and Aborted tell what became of a checkpoint; notices may be lost, and come at most once each.
	Completed(checkpoint int64) error
	Aborted(checkpoint int64) error
	// Tick is called at or after the time asked for by Runtime.WakeAt, or after Runtime.Wake.
	Tick(now time.Time) error
	Close() error
}

// Base has the methods that most operators don't need.
type Base struct{}

// States returns none.
func (Base) States() []statebackend.State { return nil }

// Barrier does nothing.
func (Base) Barrier(statebackend.Checkpoint) error { return nil }

// Completed does nothing.
func (Base) Completed(int64) error { return nil }

// Aborted does nothing.
func (Base) Aborted(int64) error { return nil }

// Tick does nothing.
func (Base) Tick(time.Time) error { return nil }

// Close does nothing.
func (Base) Close() error { return nil }

// Info says which subtask an operator is part of.
type Info struct {
	JobID, JobName string
	// Vertex is the task's name; UID and Name are the step's own.
	Vertex      string
	UID, Name   string
	Subtask     int
	Parallelism int
	// MaxParallelism is the number of key groups.
	MaxParallelism int
	Attempt        int64
}

// KeyGroups is the range of key groups of the subtask.
func (i *Info) KeyGroups() statebackend.KeyGroupRange {
	return statebackend.KeyGroupsOf(i.MaxParallelism, i.Parallelism, i.Subtask)
}

// Runtime is what the task lends an operator from Open to Close. Its functions are never nil.
type Runtime struct {
	Info
	Logger  *slog.Logger
	Metrics *Metrics
	// Now is processing time.
	Now func() time.Time
	// WakeAt asks for Tick at that time; the last call holds. To be called from the task's goroutine.
	WakeAt func(at time.Time)
	// Wake asks for Tick now; to be called from any goroutine.
	Wake func()
	// RowsMax bounds the rows that an operator collects before it sends them on; zero leaves it to their type.
	RowsMax int
	// Restored reads the state of the checkpoint that the attempt starts from; nil on a fresh start.
	Restored statebackend.Reader
	// Canceled is closed when the attempt is to end; whoever blocks returns then.
	Canceled <-chan struct{}
	// Tap, if set, sees all that goes to side outputs, read or not; for test kits.
	Tap func(tag string, v any)
}

// SourceOperator is an operator without inputs that the task polls.
type SourceOperator interface {
	Operator
	// Poll sends on at most one batch, and the watermark behind it if one is due. It never blocks but for credit.
	Poll() (Polled, error)
	// AddSplits takes splits as EncodeSplits of the enumerator's side made them; NoMoreSplits ends them.
	AddSplits(encoded []byte) error
	NoMoreSplits() error
	// Splits is the number of unfinished splits that the reader holds: with none, the task asks for more.
	Splits() int
	// Drain sends the end of time now, without the end of the input: a barrier follows, then Stop. The source is not
	// polled any more. Stop ends the input; without Drain before, there is no end of time.
	Drain() error
	Stop() error
}

// Polled says what Poll found.
type Polled uint8

const (
	// Some records were sent on; there may be more.
	Some Polled = iota
	// Nothing is there yet; the reader wakes the task.
	Nothing
	// Ended sources have sent the end of their input.
	Ended
)

// SinkOperator is an operator that prepares commits. The engine keeps the committables that it hands out.
type SinkOperator interface {
	Operator
	// Prepared returns all committables that are not known to be committed, encoded, after Barrier of the checkpoint.
	Prepared(checkpoint int64) ([]byte, error)
	// Committed tells that the committer returned for that checkpoint: older committables need not be kept.
	Committed(checkpoint int64) error
	// Uncommitted tells whether committables are kept still; a task is not finished before it is false.
	Uncommitted() bool
}
