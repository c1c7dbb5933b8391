// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task

import (
	"log/slog"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/statebackend"
)

// Config is what a task is made of.
type Config struct {
	JobID, JobName string
	Vertex         *graph.JobVertex
	Subtask        int
	Attempt        int64
	// Inputs are the channels in the order of the vertex's in edges and, within an edge, of its producers.
	Inputs   []InputChannel
	Exchange Exchange
	State    StateStorage
	Reporter Reporter
	// Logger is that of the executor; the task adds its job, its subtask, its attempt, and the uid of who logs. Nil logs nothing.
	Logger *slog.Logger
	// Clock is the system's where nil.
	Clock Clock
	// ReaderNumber is the number of the last split assignment that the restored state contains.
	ReaderNumber int64
	// BufferTimeout is the longest that a partly filled batch waits; 10 ms where zero.
	BufferTimeout time.Duration
	// RowsMax bounds the rows of a batch, for tests; zero leaves it to the type.
	RowsMax int
}

// Exchange is what a task needs of the process's exchange.Environment.
type Exchange interface {
	// CreatePartition makes the partition of one out edge. The task finishes or releases it.
	CreatePartition(id exchange.PartitionID, consumers int, serde exchange.Serde) (*exchange.Partition, error)
	// Connect attaches a channel of the task's gate to a partition, which may not exist yet. It does not wait.
	Connect(g *exchange.Gate, channel int, src exchange.Source, serde exchange.Serde) error
}

var _ Exchange = (*exchange.Environment)(nil)

// InputChannel is where one channel of the gate comes from.
type InputChannel struct {
	Producer     exchange.PartitionID
	Subpartition int
	Address      string
}

// Clock is processing time, faked in tests.
type Clock interface {
	Now() time.Time
	// NewTimer sends the time on C once d has passed, as time.NewTimer does.
	NewTimer(d time.Duration) Timer
}

// Timer is one of a Clock.
type Timer interface {
	C() <-chan time.Time
	Stop() bool
	Reset(d time.Duration) bool
}

// StateStorage is where a task reads the state that it starts from and writes its snapshots; implemented over the
// checkpoint storage, and in memory for tests.
type StateStorage interface {
	// Restored returns the state of an operator for this subtask, nil on a fresh start or where there is none. It may
	// block, as the reading of it may.
	Restored(operatorID string, subtask, parallelism, maxParallelism int) (statebackend.Reader, error)
	// Begin starts the file of one snapshot of this task. It does no I/O on the caller's goroutine. Tasks without state
	// write none. After a writer of the snapshot said that it has no room, roomy is called once when it is worth to ask
	// again, from any goroutine; it does not block.
	Begin(cp statebackend.Checkpoint, roomy func()) (Snapshot, error)
}

// Snapshot is the file of one snapshot being written. Its methods never block, and the task's goroutine calls them.
type Snapshot interface {
	// Operator returns the writer for the states of one operator.
	Operator(operatorID string) statebackend.Writer
	// Finish ends the file; done is called once, from another goroutine, with what the acknowledgement carries, or the
	// error that declines the checkpoint. It is called soon after Abort, too. states say what was written.
	Finish(states []OperatorStates, done func(state []byte, bytes int64, err error))
	// Abort discards the file, before or after Finish.
	Abort()
}

// OperatorStates is what an operator's states say of a snapshot, for the metadata.
type OperatorStates struct {
	OperatorID string
	States     []StateInfo
}

// StateInfo describes one state in a snapshot.
type StateInfo struct {
	Name   string
	Schema []byte
	// Base lists the checkpoints, oldest first, whose blocks precede.
	Base []int64
}

// Reporter takes what a task reports; its methods are called from any goroutine and must not block for long.
type Reporter interface {
	// Changed reports a transition of the state; err is set for Failed. The operators are closed when an end is reported,
	// but for those whose Close does not return.
	Changed(attempt int64, s Status, err error)
	// InputsEnded reports that all input has ended and the task waits for its last output to be committed.
	InputsEnded(attempt int64)
	Acknowledge(attempt int64, a Acknowledgement)
	Decline(attempt int64, checkpoint int64, reason error)
	// ReaderReady reports how often the reader has asked for splits in all.
	ReaderReady(attempt int64, ready int64)
	// MissingAssignments asks again for split assignments from a number on.
	MissingAssignments(attempt int64, from int64)
}

// Acknowledgement is what a task says of its part of a checkpoint.
type Acknowledgement struct {
	Checkpoint int64
	// State is encoded by the StateStorage; nil for a task without state.
	State []byte
	// Prepared are, by operator id, the committables of sinks.
	Prepared map[string][]byte
	Bytes    int64
	// Align is the time from the first barrier to the last, Sync that in which the task did nothing else, Async that of
	// the writing beside its work.
	Align, Sync, Async time.Duration
	// Started is when the first barrier came, or the trigger at a source.
	Started time.Time
}

// Status is the state of a task as Flink's ExecutionState has it.
type Status uint8

const (
	// Initializing tasks restore state and connect.
	Initializing Status = iota
	// Running tasks process records.
	Running
	// Finished tasks have read all input and know that their output is committed.
	Finished
	// Canceling tasks are being ended on request.
	Canceling
	// Canceled tasks were ended on request.
	Canceled
	// Failed tasks ended with an error.
	Failed
)

// Task is one attempt of one subtask. All methods may be called from any goroutine and don't block, nor do they call the
// Reporter: what they ask for is done by the task's goroutine. After the end they do nothing.
type Task interface {
	// Trigger starts a checkpoint at this task, which has no running producer. number is that of the last split
	// assignment in the enumerator's snapshot. A task that is about to end drops it: its end tells that the checkpoint is
	// to begin anew.
	Trigger(id int64, flags element.BarrierFlags, number int64)
	// Completed, Committed and Aborted tell what became of checkpoints. Ids that are not open at the task are ignored, so
	// that notices may be repeated.
	Completed(id int64)
	Committed(id int64)
	Aborted(id int64)
	// Decided tells that all checkpoints below an id are decided: those of which the task has not heard are aborted, and
	// barriers of such that are still to come begin nothing. The JobMaster that triggered them is gone.
	Decided(below int64)
	// Assign hands over the numbered assignment of splits; numbers that were applied are ignored.
	Assign(number int64, splits []byte, noMore bool)
	// Cancel ends the task; Done is closed when its goroutines have ended and its resources are released.
	Cancel()
	// Done is closed after the last report. It stays open as long as a user function does not return.
	Done() <-chan struct{}
	// Progress returns what a reader has come to; the zero Progress for other tasks.
	Progress() Progress
	// Metrics reads the figures.
	Metrics() Metrics
}

// Progress is what a reader has come to. The fields are of one moment.
type Progress struct {
	// Assigned is the number of the last assignment that was applied, Ready how often the reader has asked in all.
	Assigned, Ready int64
	// Waiting tells that the reader has asked for splits, and was given none since.
	Waiting bool
}

// Metrics are the figures of a task.
type Metrics struct {
	// Busy, Idle and Backpressured add up to the time that the task has been running.
	Busy, Idle, Backpressured time.Duration
	BatchesIn                 int64
	// BytesIn and BytesOut are of batches of other tasks and for them, as the exchange counts them.
	BytesIn, BytesOut int64
	Operators         []OperatorMetrics
}

// OperatorMetrics are the figures of one step.
type OperatorMetrics struct {
	UID, Name string
	Metrics   *operator.Metrics
	State     statebackend.Size
}
