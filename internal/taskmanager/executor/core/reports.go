// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Changed takes a new state of a task. text and kind say what failed it.
func (x *Executor) Changed(id int64, s weirpb.TaskState, text string, kind weirpb.FailureKind) {
	a := x.attempts[id]
	if a == nil || ended(a) {
		return
	}
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
	status, ok := proto.Clone(a.status).(*weirpb.TaskStatus)
	if !ok {
		return
	}
	x.send(&weirpb.Envelope{Body: &weirpb.Envelope_TaskStateChanged{
		TaskStateChanged: &weirpb.TaskStateChanged{Status: status},
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
	if a == nil || ended(a) || k.GetCheckpoint() <= x.completed || slices.Contains(x.aborted, k.GetCheckpoint()) {
		return
	}
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

// MissingAssignments asks again for the assignments from a number on.
func (x *Executor) MissingAssignments(id, from int64) {
	if a := x.attempts[id]; a != nil && !ended(a) {
		x.send(&weirpb.Envelope{Body: &weirpb.Envelope_MissingAssignments{MissingAssignments: &weirpb.MissingAssignments{
			Attempt: id, From: from,
		}}})
	}
}

// Observe takes what a task has come to for the next report: how often its reader has asked for work, what that holds,
// and the figures.
func (x *Executor) Observe(id, ready int64, progress []byte, metrics *weirpb.TaskMetrics) {
	if a := x.attempts[id]; a != nil && !ended(a) {
		a.status.Ready = max(a.status.GetReady(), ready)
		a.status.Progress, a.status.Metrics = progress, metrics
	}
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
func (x *Executor) Next() time.Time { return x.next }

// Tick sends a report if it is due. allocations are the job's slots.
func (x *Executor) Tick(now time.Time, allocations []string) {
	if now.Before(x.next) {
		return
	}
	x.next = now.Add(x.config.Heartbeat)
	r := &weirpb.ExecutorReport{
		TaskManager: x.config.TaskManager, Incarnation: x.config.Incarnation, Allocations: allocations,
	}
	for _, id := range x.order {
		a := x.attempts[id]
		if status, ok := proto.Clone(a.status).(*weirpb.TaskStatus); ok {
			r.Tasks = append(r.Tasks, status)
		}
		r.Acknowledged = append(r.Acknowledged, a.unanswered...)
	}
	x.send(&weirpb.Envelope{Body: &weirpb.Envelope_ExecutorReport{ExecutorReport: r}})
}
