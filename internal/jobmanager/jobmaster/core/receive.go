// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Receive takes a message. Those of another epoch, of TaskManagers that were declared lost and of attempts that are no
// more are dropped.
func (m *Master) Receive(e *weirpb.Envelope, now time.Time) {
	if m.status.Ended() || e.GetJobId() != m.config.JobID {
		return
	}
	// Offers and needs are not of an epoch: their senders learn it from the answer.
	switch b := e.GetBody().(type) {
	case *weirpb.Envelope_OfferSlots:
		m.offered(b.OfferSlots, e.GetSequence(), now)
	case *weirpb.Envelope_NeedsStatus:
		if b.NeedsStatus.GetVersion() == m.needsVersion {
			m.unmet = b.NeedsStatus.GetMissing()
		}
	default:
		if e.GetEpoch() != m.config.Epoch {
			return
		}
		m.receiveFromTask(e, now)
	}
	m.advance(now)
}

func (m *Master) receiveFromTask(e *weirpb.Envelope, now time.Time) {
	switch b := e.GetBody().(type) {
	case *weirpb.Envelope_ExecutorReport:
		m.reported(b.ExecutorReport, e.GetSequence(), now)
	case *weirpb.Envelope_TaskStateChanged:
		m.taskStatus(b.TaskStateChanged.GetStatus(), e.GetFrom(), e.GetSequence(), now)
	case *weirpb.Envelope_AcknowledgeCheckpoint:
		m.acknowledged(b.AcknowledgeCheckpoint)
	case *weirpb.Envelope_DeclineCheckpoint:
		m.declined(b.DeclineCheckpoint)
	case *weirpb.Envelope_ReaderReady:
		if x := m.graph.byAttempt[b.ReaderReady.GetAttempt()]; x != nil {
			m.readerReady(x, b.ReaderReady.GetReady())
		}
	case *weirpb.Envelope_MissingAssignments:
		if x := m.graph.byAttempt[b.MissingAssignments.GetAttempt()]; x != nil {
			m.sendAssignments(x, b.MissingAssignments.GetFrom())
		}
	}
}

// offered answers an offer of slots: those that the job has no use for are given back.
func (m *Master) offered(o *weirpb.OfferSlots, sequence int64, now time.Time) {
	if tm := m.slots.managers[o.GetTaskManager()]; tm != nil && tm.incarnation != o.GetIncarnation() {
		m.lose(tm.id, "TaskManager "+tm.id+" was started anew", now)
	}
	tm, _ := m.slots.heard(o.GetTaskManager(), o.GetIncarnation(), o.GetDataAddress(), now)
	has := slices.Clone(o.GetHeld())
	for _, a := range o.GetAllocations() {
		has = append(has, a.GetAllocationId())
	}
	for _, id := range m.slots.gone(tm.id, has, sequence) {
		m.failSlot(id, now)
	}
	answer := &weirpb.AnswerSlots{Incarnation: tm.incarnation}
	for _, a := range o.GetAllocations() {
		if m.slots.offer(a.GetAllocationId(), tm.id, sequence) {
			answer.Accepted = append(answer.Accepted, a.GetAllocationId())
		} else {
			answer.Returned = append(answer.Returned, a.GetAllocationId())
		}
	}
	m.send(tm.id, &weirpb.Envelope{Body: &weirpb.Envelope_AnswerSlots{AnswerSlots: answer}})
}

// reported takes the whole state of an executor: what it does not know of is lost, and what has ended is acknowledged by
// the next heartbeat.
func (m *Master) reported(r *weirpb.ExecutorReport, sequence int64, now time.Time) {
	tm := m.slots.managers[r.GetTaskManager()]
	if tm == nil {
		// Lost before, and back: it is told that nothing of it is wanted.
		tm = &manager{id: r.GetTaskManager(), incarnation: r.GetIncarnation()}
		m.sendHeartbeat(tm)
		return
	}
	if tm.incarnation != r.GetIncarnation() || sequence <= tm.reported {
		return
	}
	tm.heard, tm.reported, tm.ended = now, sequence, nil
	shown := make(map[int64]bool, len(r.GetTasks()))
	for _, s := range r.GetTasks() {
		shown[s.GetAttempt()] = true
		m.taskStatus(s, tm.id, sequence, now)
		if x := m.graph.byAttempt[s.GetAttempt()]; x != nil {
			m.sendAssignments(x, s.GetAssigned()+1)
		}
		if state, ok := stateOf(s.GetState()); ok && state.Terminal() {
			tm.ended = append(tm.ended, s.GetAttempt())
		}
	}
	for _, a := range r.GetAcknowledged() {
		m.acknowledged(a)
	}
	for _, id := range m.slots.gone(tm.id, r.GetAllocations(), sequence) {
		m.failSlot(id, now)
	}
	m.graph.all(func(e *execution) {
		if e.taskManager != tm.id || !e.seen || !e.deployed() || shown[e.attempt] || sequence <= e.shown {
			return
		}
		if e.state == Canceling {
			e.transition(Canceled, now)
			return
		}
		m.failExecution(e, Failure{Text: "the TaskManager does not know the task any more", Kind: World}, now)
	})
}

// failSlot restarts what runs in a slot that is lost. The tasks may run still: they are canceled like their region.
func (m *Master) failSlot(allocation string, now time.Time) {
	m.graph.all(func(e *execution) {
		if e.allocation == allocation && e.deployed() && e.state != Canceling {
			f := Failure{
				At: now, Task: m.graph.taskName(e), TaskManager: e.taskManager,
				Text: "the TaskManager has taken the slot back", Kind: World,
			}
			m.record(f)
			m.failRegion(m.graph.regions[m.graph.regionOf[e.vertex][e.subtask]], f, now)
		}
	})
}

// taskStatus takes what is reported of one attempt.
func (m *Master) taskStatus(s *weirpb.TaskStatus, taskManager string, sequence int64, now time.Time) {
	e := m.graph.byAttempt[s.GetAttempt()]
	state, ok := stateOf(s.GetState())
	if e == nil || !ok || e.taskManager != taskManager || !e.deployed() {
		return
	}
	e.seen, e.shown = true, max(e.shown, sequence)
	e.inputsEnded = e.inputsEnded || s.GetInputsEnded()
	if s.GetMetrics() != nil {
		e.metrics = s.GetMetrics()
	}
	if src := m.sourceOf(e); src != nil {
		src.applied(e.subtask, s.GetAssigned())
	}
	m.readerReady(e, s.GetReady())
	switch {
	case state == Failed:
		m.failExecution(e, failureOf(s), now)
	case state == Canceled && e.state != Canceling:
		m.failExecution(e, Failure{Text: "the task was canceled, which nobody asked for", Kind: Engine}, now)
	default:
		e.transition(state, now)
	}
}

func failureOf(s *weirpb.TaskStatus) Failure {
	f := Failure{Text: s.GetError(), Kind: s.GetKind()}
	if f.Kind == weirpb.FailureKind_FAILURE_KIND_UNSPECIFIED {
		f.Kind = Engine
	}
	return f
}
