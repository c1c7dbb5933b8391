// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"cmp"
	"slices"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/coordinator"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// abortedMax bounds the aborted checkpoints that each heartbeat tells of.
const abortedMax = 64

// checks is what the JobMaster knows of checkpoints besides their coordinator.
type checks struct {
	coordinator *coordinator.Coordinator
	// events wait for the coordinator, in order: what it decides may bring new ones.
	events []coordinator.Event
	// told is what the coordinator knows of each subtask, indexed as the graph.
	told [][]coordinator.TaskChange
	// completed is the newest complete checkpoint of the run, aborted are those after it that will never be.
	completed int64
	aborted   []int64
	// known tells that completed is the newest of the run, so that all other ids of earlier JobMasters are aborted.
	known  bool
	commit *commitRun
	// enumerators are snapshots under way.
	enumerators []*enumeratorsRun
	// ending tells that a checkpoint is complete after which nothing is left to run; ends is how the job ends then.
	ending    bool
	ends      JobStatus
	savepoint string
	final     int64
}

// enumeratorsRun collects the states of enumerators for a checkpoint.
type enumeratorsRun struct {
	checkpoint int64
	sources    []checkpoint.OperatorID
	states     []coordinator.EnumeratorState
}

func newChecks(c Config) checks {
	k := checks{coordinator: newCoordinator(c)}
	for _, v := range c.Graph.Vertices {
		k.told = append(k.told, make([]coordinator.TaskChange, v.Parallelism))
	}
	return k
}

// tell queues an event for the coordinator; stepCheckpoints hands it over.
func (m *Master) tell(e coordinator.Event) { m.checks.events = append(m.checks.events, e) }

// stepCheckpoints tells the coordinator what happened, and does what it decides.
func (m *Master) stepCheckpoints(now time.Time) bool {
	m.tellTasks()
	changed := len(m.checks.events) > 0
	for len(m.checks.events) > 0 {
		e := m.checks.events[0]
		m.checks.events = m.checks.events[1:]
		for _, a := range m.checks.coordinator.Step(now, e) {
			m.decided(a, now)
		}
	}
	return changed
}

// tellTasks tells the coordinator the states of tasks that are news to it, in the order of the graph.
func (m *Master) tellTasks() {
	if m.reconcile != nil {
		return // the current attempts may be older than those that stand for them now
	}
	var changes []coordinator.TaskChange
	for _, e := range m.graph.tally.take() {
		if m.graph.current[e.vertex][e.subtask] != e {
			continue
		}
		c := coordinator.TaskChange{
			Task: graph.SubtaskID{Vertex: e.vertex, Subtask: e.subtask}, Attempt: e.attempt, State: coordinator.Absent,
		}
		switch {
		case e.state == Running && e.inputsEnded:
			c.State = coordinator.Ended
		case e.state == Running:
			c.State = coordinator.Running
		case e.state == Finished:
			c.State = coordinator.Finished
		}
		if told := &m.checks.told[e.vertex][e.subtask]; *told != c {
			*told = c
			changes = append(changes, c)
		}
	}
	slices.SortFunc(changes, func(a, b coordinator.TaskChange) int {
		return cmp.Or(cmp.Compare(a.Task.Vertex, b.Task.Vertex), cmp.Compare(a.Task.Subtask, b.Task.Subtask))
	})
	if len(changes) > 0 {
		m.tell(coordinator.TasksChanged{Tasks: changes})
	}
}

// decided does what the coordinator says.
func (m *Master) decided(a coordinator.Action, now time.Time) {
	switch a := a.(type) {
	case coordinator.SnapshotEnumerators:
		m.snapshotEnumerators(a)
	case coordinator.Trigger:
		m.trigger(a)
	case coordinator.NotifyCompleted:
		m.completed(a.ID)
	case coordinator.NotifyAborted:
		m.aborted(a.ID)
	case coordinator.NotifyCommitted:
		m.sendOutcome()
	case coordinator.Commit:
		m.beginCommit(a)
	case coordinator.Reply:
		m.replied(a, now)
	case coordinator.FailJob:
		m.coordinatorFailed(a, now)
	case coordinator.EndJob:
		m.checks.final, m.checks.savepoint = a.ID, a.Location
		m.endWith(a.Kind, now)
	case coordinator.Deposed:
		m.Deposed(now)
	case coordinator.WriteMetadata:
		m.history(a.Metadata.History)
		m.do(Store{a})
	default: // ReserveIDs, Claim, Delete, RemoveFiles, DiscardSavepoint
		m.do(Store{a})
	}
}

// Stored answers Store.
func (m *Master) Stored(e coordinator.Event, now time.Time) {
	m.tell(e)
	m.advance(now)
}

// snapshotEnumerators asks all enumerators at once; their answers are collected.
func (m *Master) snapshotEnumerators(a coordinator.SnapshotEnumerators) {
	if len(a.Sources) == 0 {
		m.tell(coordinator.EnumeratorsSnapshotted{ID: a.ID})
		return
	}
	run := &enumeratorsRun{checkpoint: a.ID, sources: a.Sources}
	m.checks.enumerators = append(m.checks.enumerators, run)
	for i, s := range m.sources {
		if slices.Contains(a.Sources, operatorID(m.SourceVertex(i).Source())) {
			m.do(SnapshotEnumerator{Source: i, Instance: s.instance, Checkpoint: a.ID})
		}
	}
}

// EnumeratorSnapshot answers SnapshotEnumerator. What was assigned before this event belongs to the snapshot, what comes
// later doesn't.
func (m *Master) EnumeratorSnapshot(index, instance int, id int64, state []byte, err error, now time.Time) {
	s := m.instance(index, instance)
	at := slices.IndexFunc(m.checks.enumerators, func(r *enumeratorsRun) bool { return r.checkpoint == id })
	if s == nil || at < 0 {
		return
	}
	run := m.checks.enumerators[at]
	if err != nil {
		m.checks.enumerators = slices.Delete(m.checks.enumerators, at, at+1)
		m.tell(coordinator.EnumeratorsFailed{ID: id, Err: err})
		m.advance(now)
		return
	}
	snap := s.snapshot(id, state)
	run.states = append(run.states, coordinator.EnumeratorState{
		Operator:   operatorID(m.SourceVertex(index).Source()),
		Enumerator: checkpoint.Enumerator{State: snap.state, Assigned: snap.assigned},
	})
	if len(run.states) == len(run.sources) {
		m.checks.enumerators = slices.Delete(m.checks.enumerators, at, at+1)
		slices.SortFunc(run.states, func(a, b coordinator.EnumeratorState) int {
			return slices.Index(run.sources, a.Operator) - slices.Index(run.sources, b.Operator)
		})
		m.tell(coordinator.EnumeratorsSnapshotted{ID: id, Enumerators: run.states})
	}
	m.advance(now)
}

// trigger sends a trigger to the tasks that get no barrier from another, in one message a TaskManager.
func (m *Master) trigger(a coordinator.Trigger) {
	flags := a.Flags
	if a.Drain {
		flags |= element.Drain
	}
	byManager := map[string]*weirpb.TriggerCheckpoint{}
	for _, t := range a.Tasks {
		e := m.graph.byAttempt[t.Attempt]
		if e == nil || !e.deployed() {
			continue
		}
		to := byManager[e.taskManager]
		if to == nil {
			to = &weirpb.TriggerCheckpoint{Checkpoint: a.ID, Flags: uint32(flags)}
			byManager[e.taskManager] = to
		}
		to.Tasks = append(to.Tasks, &weirpb.TriggeredTask{Attempt: t.Attempt, Number: t.Number})
	}
	for _, id := range m.slots.order {
		if to := byManager[id]; to != nil {
			m.send(id, &weirpb.Envelope{Body: &weirpb.Envelope_TriggerCheckpoint{TriggerCheckpoint: to}})
		}
	}
	for _, s := range m.sources {
		s.triggered(a.ID)
	}
	m.sendHeld()
}

// acknowledged takes a task's part of a checkpoint.
func (m *Master) acknowledged(k *weirpb.AcknowledgeCheckpoint) {
	e := m.graph.byAttempt[k.GetAttempt()]
	if e == nil {
		return
	}
	task := graph.SubtaskID{Vertex: e.vertex, Subtask: e.subtask}
	ack := coordinator.Ack{Task: task, Attempt: e.attempt, ID: k.GetCheckpoint(), Timing: coordinator.Timing{
		Align: time.Duration(k.GetAlignNanos()), Sync: time.Duration(k.GetSyncNanos()),
		Async: time.Duration(k.GetAsyncNanos()),
	}}
	if at := k.GetStartedUnixNanos(); at > 0 {
		ack.Timing.Started = time.Unix(0, at)
	}
	var err error
	if ack.State, err = checkpoint.DecodeTaskState(k.GetState()); err != nil {
		m.tell(coordinator.Decline{Task: task, Attempt: e.attempt, ID: k.GetCheckpoint(), Reason: err.Error()})
		return
	}
	for _, p := range k.GetPrepared() {
		ack.Prepared = append(ack.Prepared, coordinator.Prepared{
			Operator: checkpoint.OperatorID(p.GetOperator()), Committables: p.GetCommittables(),
		})
	}
	m.tell(ack)
}

func (m *Master) declined(d *weirpb.DeclineCheckpoint) {
	if e := m.graph.byAttempt[d.GetAttempt()]; e != nil {
		m.tell(coordinator.Decline{
			Task: graph.SubtaskID{Vertex: e.vertex, Subtask: e.subtask}, Attempt: e.attempt,
			ID: d.GetCheckpoint(), Reason: d.GetReason(),
		})
	}
}

// completed takes that a checkpoint is complete.
func (m *Master) completed(id int64) {
	m.checks.completed = id
	for _, s := range m.sources {
		s.completed(id)
	}
	m.decidedAbout(id)
}

// aborted takes that a checkpoint will never be complete.
func (m *Master) aborted(id int64) {
	if !slices.Contains(m.checks.aborted, id) {
		m.checks.aborted = append(m.checks.aborted, id)
	}
	for _, s := range m.sources {
		s.forget(id)
	}
	m.decidedAbout(id)
	m.sendHeld()
}

func (m *Master) decidedAbout(id int64) {
	m.checks.enumerators = slices.DeleteFunc(m.checks.enumerators, func(r *enumeratorsRun) bool { return r.checkpoint == id })
	m.checks.aborted = slices.DeleteFunc(m.checks.aborted, func(x int64) bool { return x < m.checks.completed })
	if n := len(m.checks.aborted); n > abortedMax {
		m.checks.aborted = slices.Clone(m.checks.aborted[n-abortedMax:])
	}
	m.sendOutcome()
}

// outcome tells what became of checkpoints, as far as tasks care.
func (m *Master) outcome() *weirpb.CheckpointOutcome {
	o := &weirpb.CheckpointOutcome{
		Completed: m.checks.completed, Committed: max(0, m.checks.coordinator.Committed()), Aborted: slices.Clone(m.checks.aborted),
	}
	if m.checks.known && m.config.IDs.First > 1 {
		o.DecidedBelow = m.config.IDs.First
	}
	return o
}

func (m *Master) sendOutcome() {
	for _, id := range m.slots.order {
		m.send(id, &weirpb.Envelope{Body: &weirpb.Envelope_CheckpointOutcome{CheckpointOutcome: m.outcome()}})
	}
}

// abortCheckpoints aborts what is open and not yet with the store.
func (m *Master) abortCheckpoints(why string) { m.tell(coordinator.Abort{Reason: why}) }

// settled reports whether no checkpoint is with the store or about to be: the newest complete one is known. An event that
// the coordinator has not seen may be the acknowledgement that completes one.
func (m *Master) settled() bool { return len(m.checks.events) == 0 && m.checks.coordinator.Settled() }

// newCoordinator makes the coordinator of the job's checkpoints.
func newCoordinator(c Config) *coordinator.Coordinator {
	return coordinator.New(coordinator.Config{
		JobID: c.JobID, JobName: c.Graph.Name, Epoch: c.Epoch, Fingerprint: c.Graph.Fingerprint,
		Vertices: coordinator.Vertices(c.Graph), IDs: c.IDs, Retained: c.Retained,
		Settings: c.Graph.Stream.Checkpoints, Past: c.Past,
	})
}

// coordinatorFailed takes a failure of the whole job.
func (m *Master) coordinatorFailed(a coordinator.FailJob, now time.Time) {
	f := Failure{At: now, Text: a.Err.Error(), Kind: World}
	if a.Permanent {
		f.Kind = Fatal
	}
	m.failAll(f, now)
}
