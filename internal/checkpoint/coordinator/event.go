// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/graph"
)

// Event is what happened. Events about checkpoints that are not open, and of attempts that are not current, change
// nothing.
type Event interface{ event() }

// Tick says that time has passed.
type Tick struct{}

// TaskState is how far an attempt is, as far as checkpoints care.
type TaskState uint8

const (
	// Absent tasks are not running: not deployed, starting, restarting. Nothing is triggered while there is one.
	Absent TaskState = iota
	// Running tasks take part.
	Running
	// Ended tasks have read all their input and wait until their output is committed; they send no barriers.
	Ended
	// Finished tasks have nothing left to do.
	Finished
)

// TasksChanged reports new states of attempts.
type TasksChanged struct{ Tasks []TaskChange }

// TaskChange is the state of one attempt, which becomes the current one of its subtask.
type TaskChange struct {
	Task    graph.SubtaskID
	Attempt int64
	State   TaskState
}

// IDsReserved answers ReserveIDs.
type IDsReserved struct {
	First int64
	Count int
}

// IDsFailed answers ReserveIDs: the store could not.
type IDsFailed struct{ Err error }

// EnumeratorsSnapshotted answers SnapshotEnumerators.
type EnumeratorsSnapshotted struct {
	ID          int64
	Enumerators []EnumeratorState
}

// EnumeratorsFailed answers SnapshotEnumerators: an enumerator could not.
type EnumeratorsFailed struct {
	ID  int64
	Err error
}

// EnumeratorState is the snapshot of the enumerator of a source.
type EnumeratorState struct {
	Operator checkpoint.OperatorID
	checkpoint.Enumerator
}

// Ack is a task's part of a checkpoint.
type Ack struct {
	Task     graph.SubtaskID
	Attempt  int64
	ID       int64
	State    []checkpoint.OperatorState
	Prepared []Prepared
	Timing   Timing
}

// Prepared are committables of a sink in one subtask.
type Prepared struct {
	Operator     checkpoint.OperatorID
	Committables []byte
}

// Timing is how long the parts of a snapshot took in a task, and when its first barrier came; that is zero if it isn't known.
type Timing struct {
	Align, Sync, Async time.Duration
	Started            time.Time
}

// Decline says that a task can't take part.
type Decline struct {
	Task    graph.SubtaskID
	Attempt int64
	ID      int64
	Reason  string
}

// MetadataWritten answers WriteMetadata.
type MetadataWritten struct {
	ID    int64
	Bytes int64
}

// MetadataFailed answers WriteMetadata: the store could not.
type MetadataFailed struct {
	ID  int64
	Err error
}

// Claimed answers Claim: the checkpoint is complete.
type Claimed struct{ ID int64 }

// ClaimLost answers Claim: somebody else decided the checkpoint.
type ClaimLost struct {
	ID int64
	By string
}

// ClaimFailed answers Claim: the outcome is unknown, and Claim is repeated.
type ClaimFailed struct {
	ID  int64
	Err error
}

// Committed answers Commit.
type Committed struct{ ID int64 }

// CommitFailed answers Commit, which is repeated, or fails the job if the error is permanent.
type CommitFailed struct {
	ID        int64
	Err       error
	Permanent bool
}

// Request asks for a checkpoint now; Reply answers it, by the number that the caller chose.
type Request struct {
	Number int64
	// Kind is Periodic for a checkpoint on demand, Savepoint, Terminal for a stop with savepoint, or Suspend.
	Kind checkpoint.Kind
	// Dir is the directory, absolute, in which a savepoint gets its own.
	Dir string
	// Drain ends the input of sources as if they were read to their end.
	Drain bool
	// Full asks for a checkpoint on demand that builds on no earlier one.
	Full bool
}

// Abort aborts what is open and not yet being stored: a task failed, the job is canceled. Requests are answered with the
// reason.
type Abort struct{ Reason string }

// Restored says from which checkpoint tasks are about to start. Foreign is one of another run. The commits of that
// checkpoint are repeated, unless this coordinator has seen them done; tasks must not run before.
type Restored struct {
	Metadata *checkpoint.Metadata
	Path     string
	Foreign  bool
}

// JobEnded says that the job has ended and its result is recorded. Keep says whether its checkpoints stay.
type JobEnded struct{ Keep bool }

func (Tick) event()                   {}
func (TasksChanged) event()           {}
func (IDsReserved) event()            {}
func (IDsFailed) event()              {}
func (EnumeratorsSnapshotted) event() {}
func (EnumeratorsFailed) event()      {}
func (Ack) event()                    {}
func (Decline) event()                {}
func (MetadataWritten) event()        {}
func (MetadataFailed) event()         {}
func (Claimed) event()                {}
func (ClaimLost) event()              {}
func (ClaimFailed) event()            {}
func (Committed) event()              {}
func (CommitFailed) event()           {}
func (Request) event()                {}
func (Abort) event()                  {}
func (Restored) event()               {}
func (JobEnded) event()               {}
