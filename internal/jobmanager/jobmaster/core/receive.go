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
	if m.status.Ended() {
		return
	}
	if lost := e.GetPeerLost(); lost != nil { // of no job: the Router says it to all
		m.peerLost(lost, now)
		m.advance(now)
		return
	}
	if e.GetJobId() != m.config.JobID {
		return
	}
	// Offers and needs are not of an epoch: their senders learn it from the answer.
	switch b := e.GetBody().(type) {
	case *weirpb.Envelope_OfferSlots:
		m.offered(b.OfferSlots, e.GetSequence(), now)
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
		m.reported(b.ExecutorReport, e, now)
	case *weirpb.Envelope_ExecutorLost:
		m.executorLost(b.ExecutorLost, now)
	case *weirpb.Envelope_HostsGone:
		m.reconcile.gone(b.HostsGone.GetHosts())
	case *weirpb.Envelope_TaskStateChanged:
		m.taskStatus(b.TaskStateChanged.GetStatus(), e.GetSequence(), now)
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
	if m.reconcile != nil {
		m.reconcile.offered(o, sequence, now)
		m.sendHeartbeat(tm) // its executor learns who leads, and answers
		return
	}
	has := slices.Clone(o.GetHeld())
	for _, a := range o.GetAllocations() {
		has = append(has, a.GetAllocationId())
	}
	for _, id := range m.slots.gone(tm.id, has, sequence) {
		m.failSlot(id, now)
	}
	if len(o.GetAllocations()) == 0 {
		return // it says what is held
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

// peerLost takes that connections are gone, and with them for now the TaskManagers behind them. Where the own one is, all
// come back with it.
func (m *Master) peerLost(p *weirpb.PeerLost, now time.Time) {
	for _, name := range p.GetNames() {
		if m.slots.managers[name] != nil {
			m.lose(name, "the connection to TaskManager "+name+" is lost: "+p.GetReason(), now)
		}
	}
}

// executorLost takes that an executor process has ended, with all attempts that it had. It may be said again.
func (m *Master) executorLost(x *weirpb.ExecutorLost, now time.Time) {
	tm := m.slots.managers[x.GetTaskManager()]
	if tm == nil || tm.incarnation != x.GetIncarnation() {
		return
	}
	m.reconcile.ended(x)
	var ended []*execution
	for _, id := range x.GetAttempts() {
		if e := m.graph.byAttempt[id]; e != nil && e.taskManager == tm.id && e.deployed() {
			ended = append(ended, e)
		}
	}
	f := Failure{TaskManager: tm.id, Text: x.GetReason(), Kind: x.GetKind()}
	if f.Kind == weirpb.FailureKind_FAILURE_KIND_UNSPECIFIED {
		f.Kind = World
	}
	if len(x.GetAttempts()) == 0 && f.Kind == Fatal && m.status != JobFailing {
		f.At = now // the program can't be an executor: no task will ever start there
		m.record(f)
		m.failJob(f, now)
		return
	}
	if len(x.GetAttempts()) == 0 {
		m.noExecutor(tm, f, now)
	}
	if len(ended) == 0 {
		return
	}
	tm.reached = "" // its successor tells another
	m.failTogether(ended, f, now)
}

// noExecutor takes that an executor does not come about, or ends, before anything was deployed to it: another is started. It
// is told once for each reason.
func (m *Master) noExecutor(tm *manager, f Failure, now time.Time) {
	if f.Text == tm.trouble {
		return
	}
	tm.trouble = f.Text
	f.At = now
	m.record(f)
}

// reported takes the whole state of an executor: what it does not know of is lost, and what has ended is acknowledged by
// the next heartbeat.
func (m *Master) reported(r *weirpb.ExecutorReport, envelope *weirpb.Envelope, now time.Time) {
	tm, sequence := m.slots.managers[r.GetTaskManager()], envelope.GetSequence()
	if tm == nil {
		// Lost before, and back: it is told that nothing of it is wanted.
		tm = &manager{id: r.GetTaskManager(), incarnation: r.GetIncarnation()}
		m.sendHeartbeat(tm)
		return
	}
	if tm.incarnation != r.GetIncarnation() {
		return
	}
	m.reporting(tm, stream{envelope.GetFrom(), r.GetProcess()})
	if sequence <= tm.reported {
		return
	}
	tm.heard, tm.reported, tm.ended = now, sequence, endedIn(r.GetTasks())
	if a := r.GetDataAddress(); a != "" {
		tm.reached, tm.trouble = a, ""
		m.process(tm, r.GetProcess(), now)
	}
	if m.reconcile != nil {
		m.reconcile.reported(r, sequence, now)
		return
	}
	shown := make(map[int64]bool, len(r.GetTasks()))
	for _, s := range r.GetTasks() {
		shown[s.GetAttempt()] = true
		m.taskStatus(s, sequence, now)
		if x := m.graph.byAttempt[s.GetAttempt()]; x != nil {
			m.sendAssignments(x, s.GetAssigned()+1)
		}
	}
	for _, a := range r.GetAcknowledged() {
		m.acknowledged(a)
	}
	if envelope.GetFrom() == tm.id { // else the TaskManager itself says which slots there are, by its own count of messages
		for _, id := range m.slots.gone(tm.id, r.GetAllocations(), sequence) {
			m.failSlot(id, now)
		}
	}
	m.findUnknown(tm, shown, sequence, now)
}

// reporting takes who reports: what another sender has shown says nothing about this one's order.
func (m *Master) reporting(tm *manager, from stream) {
	if from == tm.stream {
		return
	}
	if tm.stream != (stream{}) {
		for _, e := range m.graph.on(tm.id) {
			e.shown = 0
		}
	}
	tm.stream, tm.reported = from, 0
}

// process takes which process the executor is. What was deployed to the one before is lost, shown or not, and must not come to
// this one: an attempt runs once.
func (m *Master) process(tm *manager, process string, now time.Time) {
	tm.process = process
	var lost []*execution
	for _, e := range m.graph.on(tm.id) {
		if e.deployed() && e.process != process {
			lost = append(lost, e)
		}
	}
	m.failTogether(lost, Failure{TaskManager: tm.id, Text: "the executor was started anew", Kind: World}, now)
}

// findUnknown takes that a report does not show attempts which were shown before.
func (m *Master) findUnknown(tm *manager, shown map[int64]bool, sequence int64, now time.Time) {
	var lost []*execution
	for _, e := range m.graph.on(tm.id) {
		if e.seen && e.deployed() && !shown[e.attempt] && sequence > e.shown {
			lost = append(lost, e)
		}
	}
	m.failTogether(lost, Failure{TaskManager: tm.id, Text: "the TaskManager does not know the task any more", Kind: World}, now)
}

// failSlot restarts what runs in a slot that is lost. The tasks may run still: they are canceled like their region.
func (m *Master) failSlot(allocation string, now time.Time) {
	var regions []*region
	f := Failure{At: now, Text: "the TaskManager has taken the slot back", Kind: World}
	m.graph.all(func(e *execution) {
		if e.allocation != allocation || !e.deployed() || e.state == Canceling {
			return
		}
		if len(regions) == 0 {
			f = m.graph.at(f, e)
		}
		if r := m.graph.regionOfExecution(e); !slices.Contains(regions, r) {
			regions = append(regions, r)
		}
	})
	if len(regions) > 0 {
		m.record(f)
		m.failRegions(regions, f, now)
	}
}

// taskStatus takes what is reported of one attempt.
func (m *Master) taskStatus(s *weirpb.TaskStatus, sequence int64, now time.Time) {
	m.reconcile.changed(s)
	e := m.graph.byAttempt[s.GetAttempt()]
	state, ok := stateOf(s.GetState())
	if e == nil || !ok || !e.deployed() {
		return
	}
	e.seen, e.shown = true, max(e.shown, sequence)
	if s.GetInputsEnded() && !e.inputsEnded {
		e.inputsEnded = true
		e.tally.note(e)
	}
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
