// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Changed takes a new state of a task. text and kind say what failed it.
func (x *Executor) Changed(id int64, s weirpb.TaskState, text string, kind weirpb.FailureKind, now time.Time) {
	a := x.attempts[id]
	if a == nil || ended(a) {
		return
	}
	a.entered = append(slices.Clip(a.entered), &weirpb.StateTime{State: s, UnixMillis: now.UnixMilli()})
	x.changed(a, s, text, kind)
}

func (x *Executor) changed(a *attempt, s weirpb.TaskState, text string, kind weirpb.FailureKind) {
	canceling := a.status.GetState() == weirpb.TaskState_TASK_STATE_CANCELING
	a.status.State, a.status.Error, a.status.Kind = s, text, kind
	switch {
	case ended(a):
		a.unanswered = nil
	case canceling: // what it says of its start is overtaken
		a.status.State = weirpb.TaskState_TASK_STATE_CANCELING
	}
	x.sendState(a)
}

func (x *Executor) sendState(a *attempt) {
	x.send(&weirpb.Envelope{Body: &weirpb.Envelope_TaskStateChanged{
		TaskStateChanged: &weirpb.TaskStateChanged{Status: proto.CloneOf(a.status)},
	}})
}

// InputsEnded takes that all input of a task has ended.
func (x *Executor) InputsEnded(id int64) {
	if a := x.attempts[id]; a != nil && !ended(a) && !a.status.GetInputsEnded() {
		a.status.InputsEnded = true
		x.sendState(a)
	}
}

// Acknowledged takes a task's part of a checkpoint.
func (x *Executor) Acknowledged(k *weirpb.AcknowledgeCheckpoint) {
	a := x.attempts[k.GetAttempt()]
	if a == nil || ended(a) {
		return
	}
	if x.answered(k.GetCheckpoint()) {
		if k.GetCheckpoint() != x.completed { // the barrier was late: the task missed the notice
			x.do(Outcome{k.GetAttempt(), k.GetCheckpoint(), Aborted})
		}
		return
	}
	a.status.Acknowledged = push(a.status.GetAcknowledged(), k.GetCheckpoint(), takenMax)
	if len(a.unanswered) >= acknowledgementsMax {
		a.unanswered = slices.Delete(a.unanswered, 0, 1)
	}
	a.unanswered = append(a.unanswered, k)
	x.send(&weirpb.Envelope{Body: &weirpb.Envelope_AcknowledgeCheckpoint{AcknowledgeCheckpoint: k}})
}

// Declined takes that a task can't take part in a checkpoint. The message is sent once: if it is lost, the checkpoint
// times out.
func (x *Executor) Declined(id, checkpoint int64, reason string) {
	if a := x.attempts[id]; a != nil && !ended(a) {
		x.send(&weirpb.Envelope{Body: &weirpb.Envelope_DeclineCheckpoint{DeclineCheckpoint: &weirpb.DeclineCheckpoint{
			Attempt: id, Checkpoint: checkpoint, Reason: reason,
		}}})
	}
}

// ReaderReady takes how often a reader has asked for work in all.
func (x *Executor) ReaderReady(id, ready int64) {
	if a := x.attempts[id]; a != nil && !ended(a) && ready > a.status.GetReady() {
		a.status.Ready = ready
		x.send(&weirpb.Envelope{Body: &weirpb.Envelope_ReaderReady{ReaderReady: &weirpb.ReaderReady{
			Attempt: id, Ready: ready,
		}}})
	}
}

// MissingAssignments says again the assignments from a number on, or asks for them.
func (x *Executor) MissingAssignments(id, from int64) {
	a := x.attempts[id]
	if a == nil || ended(a) {
		return
	}
	known := a.reader.from(from)
	for _, s := range known {
		x.do(Assign{id, s.GetNumber(), s.GetSplits(), s.GetNoMoreSplits()})
	}
	if len(known) == 0 {
		x.send(&weirpb.Envelope{Body: &weirpb.Envelope_MissingAssignments{MissingAssignments: &weirpb.MissingAssignments{
			Attempt: id, From: from,
		}}})
	}
}

// Observed is what a task has come to.
type Observed struct {
	// Assigned is the number of the last assignment that its reader has applied, Ready how often that has asked for work,
	// and Waiting tells that it has got no answer: all of one moment.
	Assigned, Ready int64
	Waiting         bool
	Metrics         *weirpb.TaskMetrics
}

// Observe takes what a task has come to, for the next report.
func (x *Executor) Observe(id int64, o Observed) {
	a := x.attempts[id]
	if a == nil || ended(a) {
		return
	}
	// A reader that has asked since that moment waits, too; one whose answer is on its way does not.
	a.reader.waiting = (o.Waiting || a.status.GetReady() > o.Ready) && o.Assigned == a.status.GetAssigned()
	a.status.Ready = max(a.status.GetReady(), o.Ready)
	a.status.Metrics = o.Metrics
}

// Live lists the attempts that have not ended, ascending.
func (x *Executor) Live() []int64 {
	var ids []int64
	for _, id := range x.order {
		if !ended(x.attempts[id]) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Next is the time of the next Tick; Observe is to be called for all live attempts before it.
func (x *Executor) Next() time.Time { return x.pace.next }

// Tick sends a report if it is due. allocations are the job's slots.
func (x *Executor) Tick(now time.Time, allocations []string) {
	if now.Before(x.pace.next) {
		return
	}
	r := &weirpb.ExecutorReport{
		TaskManager: x.config.TaskManager, Incarnation: x.config.Incarnation, Allocations: allocations,
		Process: x.config.Process, DataAddress: x.config.DataAddress, Fingerprint: x.config.Fingerprint,
	}
	for _, id := range x.order {
		a := x.attempts[id]
		status := proto.CloneOf(a.status)
		if x.reconciling {
			status.Reader, status.Entered = a.reader.report(), a.entered
		}
		r.Tasks = append(r.Tasks, status)
		r.Acknowledged = append(r.Acknowledged, a.unanswered...)
	}
	x.pace.reported(r, x.reconciling, now)
	x.send(&weirpb.Envelope{Body: &weirpb.Envelope_ExecutorReport{ExecutorReport: r}})
}
