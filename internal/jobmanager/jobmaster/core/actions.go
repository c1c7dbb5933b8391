// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"github.com/weir-stream/weir/internal/checkpoint/coordinator"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Action is what the shell is to do. Actions are done in order; what takes long is done on a goroutine of its own, and
// its result comes back as an event.
type Action interface{ action() }

// Send passes a message on. Only the body, job and epoch of the message are set.
type Send struct {
	To      string
	Message *weirpb.Envelope
}

// Transition tells that the job's status changed; for logs.
type Transition struct {
	From, To JobStatus
	Cause    *Failure
}

// FailureSeen tells of a failure that the exception history has taken in; for logs.
type FailureSeen struct{ Failure Failure }

// StartEnumerator starts the enumerator of a source, from an encoded state or afresh; answered by EnumeratorStarted. An
// older instance of the same source has been stopped before.
type StartEnumerator struct {
	Source, Instance int
	Restored         []byte
	// Assigned are, for readers that live on, the splits that were assigned beyond that state: the enumerator is told
	// before it starts.
	Assigned []AssignedSplits
}

// AssignedSplits are assignments to one reader.
type AssignedSplits struct {
	Reader int
	Splits [][]byte
}

// StopEnumerator closes an enumerator; its later events are ignored.
type StopEnumerator struct{ Source, Instance int }

// ReaderReady passes on that a reader asked for work so many times more.
type ReaderReady struct {
	Source, Instance, Reader int
	Times                    int64
}

// AddBack gives splits back to an enumerator that a reader's restored state does not hold.
type AddBack struct {
	Source, Instance, Reader int
	Splits                   [][]byte
}

// SnapshotEnumerator asks for the state of an enumerator; answered by EnumeratorSnapshot.
type SnapshotEnumerator struct {
	Source, Instance int
	Checkpoint       int64
}

// Commit has the committer of a sink commit; answered by Committed. Prepared has one element a subtask.
type Commit struct {
	Sink       string
	Checkpoint int64
	Prepared   [][]byte
}

// RecordHosts has the store note on which TaskManagers tasks may run; answered by HostsRecorded.
type RecordHosts struct{ Hosts []Host }

// LoadRestore asks for the newest completed checkpoint that the regions are to start from; answered by Restored.
type LoadRestore struct{ Regions []int }

// Ended tells that all tasks have ended and the job has the given status; what is left is to record it.
type Ended struct {
	Status JobStatus
	Cause  *Failure
	// Savepoint is that of a stop with savepoint, Checkpoint the final or terminal one; zero if there was none.
	Savepoint  string
	Checkpoint int64
	// Deposed tells that another JobMaster runs the job: nothing is to be recorded or cleaned up.
	Deposed bool
}

// Reconciled tells what became of the tasks of earlier JobMasters; for logs.
type Reconciled struct {
	// Adopted is the number of regions that run on; Restarted says of each other one why it does not.
	Adopted   int
	Restarted []RestartedRegion
}

// RestartedRegion is a region that could not be adopted.
type RestartedRegion struct {
	Region int
	Reason string
}

// Store is something to do on the checkpoint storage, in order; answered by Stored with the event that the coordinator
// expects.
type Store struct{ Action coordinator.Action }

// Reply answers a Request.
type Reply struct{ coordinator.Reply }

func (Send) action()               {}
func (Transition) action()         {}
func (FailureSeen) action()        {}
func (StartEnumerator) action()    {}
func (StopEnumerator) action()     {}
func (ReaderReady) action()        {}
func (AddBack) action()            {}
func (SnapshotEnumerator) action() {}
func (Commit) action()             {}
func (RecordHosts) action()        {}
func (LoadRestore) action()        {}
func (Ended) action()              {}
func (Reconciled) action()         {}
func (Store) action()              {}
func (Reply) action()              {}
