// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// ExecutionState is the state of one attempt of one subtask.
//
//	CREATED -> SCHEDULED -> DEPLOYING -> INITIALIZING -> RUNNING -> FINISHED
//	   |           |            |             |             |
//	   +-----------+------------+------+------+-------------+---> CANCELING -> CANCELED
//	                                   +------------------------------------> FAILED
type ExecutionState uint8

// The states are Flink's.
const (
	Created ExecutionState = iota
	Scheduled
	Deploying
	Initializing
	Running
	Finished
	Canceling
	Canceled
	Failed
)

var executionStateNames = [...]string{
	"CREATED", "SCHEDULED", "DEPLOYING", "INITIALIZING", "RUNNING", "FINISHED", "CANCELING", "CANCELED", "FAILED",
}

// String is the name that is shown.
func (s ExecutionState) String() string {
	if int(s) < len(executionStateNames) {
		return executionStateNames[s]
	}
	return fmt.Sprintf("ExecutionState(%d)", uint8(s))
}

// Terminal reports whether nothing follows the state.
func (s ExecutionState) Terminal() bool { return s == Finished || s == Canceled || s == Failed }

// executionSuccessors says which states may follow which. A report may skip states whose own report was lost.
var executionSuccessors = [...][]ExecutionState{
	Created:      {Scheduled, Canceled, Failed},
	Scheduled:    {Deploying, Canceled, Failed},
	Deploying:    {Initializing, Running, Finished, Canceling, Failed, Canceled},
	Initializing: {Running, Finished, Canceling, Failed, Canceled},
	Running:      {Finished, Canceling, Failed, Canceled},
	// A task may end by itself before it hears that it is to.
	Canceling: {Canceled, Finished, Failed},
	Finished:  {},
	Canceled:  {},
	Failed:    {},
}

// execution is one attempt of one subtask.
type execution struct {
	vertex, subtask int
	attempt         int64
	// number counts the attempts of the subtask from 0, as far as it is known of earlier JobMasters.
	number int
	state  ExecutionState
	since  time.Time
	// entered is when the attempt entered each state, zero where it has not.
	entered [Failed + 1]time.Time
	// allocation and taskManager are set from SCHEDULED on, and process, that of the executor, where it has one.
	allocation, taskManager, process string
	// endpoint is where the exchange of its executor was reached when it was deployed.
	endpoint string
	// seen tells that a message has shown the attempt, shown is the sequence of the last: a later report without it means
	// that it is lost. deployedAt is when it was deployed last.
	seen       bool
	shown      int64
	deployedAt time.Time
	// inputsEnded tells that all input has ended; the task waits for its last output to be committed.
	inputsEnded bool
	// ready counts how often the reader has asked for work, of which forwarded were passed on.
	ready, forwarded int64
	metrics          *weirpb.TaskMetrics
	cause            *Failure
	// tally counts the execution while it is the current one of its place; noted tells that its list of changes has it.
	tally *tally
	noted bool
}

// transition moves the execution on; false where the table forbids it, which a late or doubled report may ask for.
func (e *execution) transition(to ExecutionState, now time.Time) bool {
	if !slices.Contains(executionSuccessors[e.state], to) {
		return false
	}
	e.tally.count(e, -1)
	e.state, e.since = to, now
	e.entered[to] = now
	e.tally.count(e, 1)
	e.tally.note(e)
	return true
}

// deployed reports whether a TaskManager may be running the attempt.
func (e *execution) deployed() bool {
	return e.state >= Deploying && !e.state.Terminal()
}

// stateOf translates the state of a report.
func stateOf(s weirpb.TaskState) (ExecutionState, bool) {
	switch s {
	case weirpb.TaskState_TASK_STATE_INITIALIZING:
		return Initializing, true
	case weirpb.TaskState_TASK_STATE_RUNNING:
		return Running, true
	case weirpb.TaskState_TASK_STATE_FINISHED:
		return Finished, true
	case weirpb.TaskState_TASK_STATE_CANCELING:
		return Canceling, true
	case weirpb.TaskState_TASK_STATE_CANCELED:
		return Canceled, true
	case weirpb.TaskState_TASK_STATE_FAILED:
		return Failed, true
	case weirpb.TaskState_TASK_STATE_UNSPECIFIED, weirpb.TaskState_TASK_STATE_CREATED,
		weirpb.TaskState_TASK_STATE_SCHEDULED, weirpb.TaskState_TASK_STATE_DEPLOYING:
	}
	return Created, false
}
