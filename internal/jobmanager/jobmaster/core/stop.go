// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"errors"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/coordinator"
)

// suspendRequest is the number of the request for the checkpoint of a Suspend; callers use positive ones.
const suspendRequest = -1

// Request asks for a checkpoint or savepoint; it is answered by the action Reply.
func (m *Master) Request(r coordinator.Request, now time.Time) {
	switch {
	case m.status.Ended() || m.status == JobFailing || m.status == JobCancelling || m.checks.ending:
		m.do(Reply{coordinator.Reply{Number: r.Number, Err: errors.New("the job is ending")}})
	case m.status != JobRunning:
		m.do(Reply{coordinator.Reply{Number: r.Number, Err: errors.New("the job does not run, it is " + m.status.String())}})
	case !m.allDeployed():
		m.do(Reply{coordinator.Reply{Number: r.Number, Err: errors.New("some tasks of the job do not run yet: try again once all do")}})
	default:
		m.tell(r)
	}
	m.advance(now)
}

// Suspend takes a last checkpoint, commits its output and lets the job go, so that another JobMaster can go on with it.
// Where no checkpoint can be taken it lets go at once.
func (m *Master) Suspend(now time.Time) {
	if m.status.Ended() || m.status == JobFailing || m.status == JobCancelling || m.checks.ending || m.suspending {
		return
	}
	m.suspending = true
	if m.status == JobRunning && m.allDeployed() {
		m.tell(coordinator.Request{Number: suspendRequest, Kind: checkpoint.Suspend})
	} else {
		m.letGo(now)
	}
	m.advance(now)
}

// letGo suspends the job without a checkpoint.
func (m *Master) letGo(now time.Time) {
	m.checks.ending, m.checks.ends = true, JobSuspended
	m.abandon(now, "the job is being suspended")
}

// replied passes the answer to a request on.
func (m *Master) replied(a coordinator.Reply, now time.Time) {
	if a.Number != suspendRequest {
		m.do(Reply{a})
		return
	}
	if a.Err != nil && !m.checks.ending && m.status != JobFailing && m.status != JobCancelling {
		m.record(Failure{At: now, Text: "the last checkpoint before the suspension failed: " + a.Err.Error(), Kind: World})
		m.letGo(now)
	}
}

// endWith takes that a checkpoint is complete and committed after which nothing is left to run. Tasks end by
// themselves; those that don't soon are canceled.
func (m *Master) endWith(kind checkpoint.Kind, now time.Time) {
	if m.checks.ending {
		return
	}
	m.giveUpReconcile()
	m.checks.ending, m.checks.ends = true, JobFinished
	if kind == checkpoint.Suspend {
		m.checks.ends = JobSuspended
	}
	m.endingAt = now.Add(endingHeartbeats * m.config.Heartbeat)
}

// endingHeartbeats is how many heartbeats tasks have to end by themselves after the last checkpoint.
const endingHeartbeats = 5

// stepEnding cancels the tasks that did not end by themselves.
func (m *Master) stepEnding(now time.Time) bool {
	if !m.checks.ending || m.endingAt.IsZero() || now.Before(m.endingAt) {
		return false
	}
	m.endingAt = time.Time{}
	for _, r := range m.graph.regions {
		m.cancelRegion(r, now)
	}
	return true
}

// Deposed ends the JobMaster at once and without trace: another one runs the job.
func (m *Master) Deposed(now time.Time) {
	if m.status.Ended() {
		return
	}
	m.do(Transition{m.status, JobSuspended, nil})
	m.status = JobSuspended
	m.do(Ended{Status: JobSuspended, Deposed: true})
}

// Recorded tells that the end of the job is recorded: what is no longer needed can go.
func (m *Master) Recorded(now time.Time) {
	m.Release()
	keep := m.status == JobFailed || m.status == JobCanceled && m.config.Graph.Stream.Checkpoints.KeepAfterCancel
	for _, a := range m.checks.coordinator.Step(now, coordinator.JobEnded{Keep: keep}) {
		m.do(Store{a})
	}
}
