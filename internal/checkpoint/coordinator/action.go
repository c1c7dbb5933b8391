// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/graph"
)

// Action is what the JobMaster is to do. Actions are begun in order; those on the store are done in order too.
type Action interface{ action() }

// ReserveIDs asks for a block of ids; answered by IDsReserved or IDsFailed.
type ReserveIDs struct{}

// SnapshotEnumerators asks for the state of the enumerators of these sources, in the order of the graph; answered by
// EnumeratorsSnapshotted or EnumeratorsFailed.
type SnapshotEnumerators struct {
	ID      int64
	Sources []checkpoint.OperatorID
}

// Trigger starts a checkpoint at the tasks that get no barrier from another. A trigger of an id that a task knows from a
// barrier is to be ignored.
type Trigger struct {
	ID    int64
	Flags element.BarrierFlags
	// Drain has sources end their input first.
	Drain bool
	Tasks []TriggerTask
}

// TriggerTask is one task to trigger.
type TriggerTask struct {
	Task    graph.SubtaskID
	Attempt int64
	// Number is that of the reader's last assignment in the enumerator's snapshot, zero for tasks that read none.
	Number int64
}

// WriteMetadata stores metadata: with a Location, as that of a savepoint there, to which the state files are copied; and,
// unless it is a plain savepoint, in the run's own store. Tasks write all their files there. Answered by MetadataWritten
// or MetadataFailed.
type WriteMetadata struct {
	ID       int64
	Metadata *checkpoint.Metadata
	Location string
}

// Claim makes the checkpoint complete; answered by Claimed, ClaimLost or ClaimFailed.
type Claim struct {
	ID   int64
	Kind checkpoint.Kind
}

// NotifyCompleted tells all running tasks, and enumerators, that a checkpoint is complete.
type NotifyCompleted struct{ ID int64 }

// NotifyAborted tells them that nothing follows from a checkpoint.
type NotifyAborted struct {
	ID int64
	// Latest is the newest complete checkpoint, 0 if there is none.
	Latest int64
	Reason string
	// Savepoint is set if it succeeded, as a savepoint: for tasks nothing follows from it, as from an aborted one.
	Savepoint bool
}

// NotifyCommitted tells them that all output of a checkpoint is committed.
type NotifyCommitted struct{ ID int64 }

// Commit has the committers commit what the checkpoint holds; answered by Committed or CommitFailed. ID is that of the
// metadata, or 0 if that is another run's.
type Commit struct {
	ID       int64
	Metadata *checkpoint.Metadata
}

// Delete removes what is no longer needed, and makes known below which id all is decided: storage.Leader.Delete.
type Delete struct {
	Below    int64
	Complete []int64
	IDs      []int64
	Files    []string
}

// RemoveFiles removes state files of an aborted checkpoint, or of a savepoint that has copies of its own.
type RemoveFiles struct{ Files []string }

// DiscardSavepoint removes the directory of an aborted savepoint.
type DiscardSavepoint struct{ Location string }

// Reply answers a Request.
type Reply struct {
	Number int64
	ID     int64
	// Location is the savepoint's directory.
	Location string
	Err      error
}

// FailJob reports a failure that concerns the whole job: it restarts by its strategy, or fails for good if Permanent.
type FailJob struct {
	Err       error
	Permanent bool
}

// EndJob says that nothing is left to do after a checkpoint of a kind that ends the job, or that suspends it: it is
// complete and committed.
type EndJob struct {
	ID       int64
	Kind     checkpoint.Kind
	Location string
}

// Deposed says that a later JobMaster decided a checkpoint of this one, which must stop.
type Deposed struct{ By string }

func (ReserveIDs) action()          {}
func (SnapshotEnumerators) action() {}
func (Trigger) action()             {}
func (WriteMetadata) action()       {}
func (Claim) action()               {}
func (NotifyCompleted) action()     {}
func (NotifyAborted) action()       {}
func (NotifyCommitted) action()     {}
func (Commit) action()              {}
func (Delete) action()              {}
func (RemoveFiles) action()         {}
func (DiscardSavepoint) action()    {}
func (Reply) action()               {}
func (FailJob) action()             {}
func (EndJob) action()              {}
func (Deposed) action()             {}
