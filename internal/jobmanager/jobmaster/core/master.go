// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/coordinator"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Config is what a Master is made of. All is required but where a zero value is explained.
type Config struct {
	JobID string
	// Epoch is that of this JobMaster; Name and ResourceManager are endpoints.
	Epoch                 int64
	Name, ResourceManager string
	Graph                 *graph.JobGraph
	// CheckpointDir is handed to the tasks. IDs is the first block of checkpoint ids: all before are decided. Retained is
	// what the store holds, and Newest the newest complete checkpoint whether it can be read or not; zero if there is none.
	CheckpointDir string
	IDs           coordinator.IDsReserved
	Retained      []coordinator.Retained
	Newest        int64
	// Past is the metadata of the newest complete checkpoint that can be read, for what it tells of earlier JobMasters; nil if
	// there is none.
	Past *checkpoint.Metadata
	// Random draws from [0, 1), for the jitter of restarts; nil for none.
	Random func() float64
	// Heartbeat is the time between two; a TaskManager that was silent for HeartbeatTimeout is lost.
	Heartbeat, HeartbeatTimeout time.Duration
	// SlotTimeout is how long the job waits for slots before it fails.
	SlotTimeout time.Duration
	// CancelTimeout is how long a task may take to end once it is canceled.
	CancelTimeout time.Duration
	// ReconcileTimeout is how long a later epoch looks for the tasks of the JobMasters before it, to go on with them. Zero
	// looks for none: they ended with those.
	ReconcileTimeout time.Duration
	// Former are the TaskManagers on which tasks of earlier epochs may run. Where FormerKnown is set there are no others, so
	// that it can be certain before ReconcileTimeout that no more tasks will be found.
	Former      []Host
	FormerKnown bool
}

// Master is the JobMaster of one job as a pure state machine. Each event is a method that takes the time; what is to be
// done about it is fetched with Take.
type Master struct {
	config Config
	status JobStatus
	// cause is why the job fails.
	cause    *Failure
	failures []Failure
	graph    *executionGraph
	slots    slotPool
	hosts    hosts
	restarts restarts
	sources  []*source // by order of their vertices
	// restore is under way, or nil; one at a time.
	restore *restore
	// reconcile is not nil while it is not decided what becomes of the tasks of earlier JobMasters.
	reconcile *reconciliation
	checks    checks
	// endingAt is when tasks are canceled that did not end by themselves after the last checkpoint.
	endingAt time.Time
	// suspending tells that a Suspend was asked for.
	suspending bool
	// needsVersion numbers the declarations of needs; nextHeartbeat is when the next goes out. No TaskManager that is known
	// will have been silent for too long before nextLost.
	needsVersion            int64
	nextHeartbeat, nextLost time.Time
	// advanced is the time of the last event: all that was due then and possible is done.
	advanced time.Time
	actions  []Action
}

// NewMaster makes the JobMaster of a job that is not started yet.
func NewMaster(c Config, now time.Time) *Master {
	m := &Master{
		config:   c,
		graph:    newExecutionGraph(c.Graph, c.Epoch, now),
		slots:    newSlotPool(c.Graph.SlotsNeeded()),
		hosts:    newHosts(c.Former, c.FormerKnown),
		restarts: restarts{settings: c.Graph.Stream.Restart, random: c.Random},
	}
	for _, v := range c.Graph.Vertices {
		if v.Source() == nil {
			continue
		}
		s := &source{vertex: v.Index, readers: make([]reader, v.Parallelism)}
		for _, r := range m.graph.regionOf[v.Index] {
			s.spread = s.spread || r != m.graph.regionOf[v.Index][0]
		}
		m.sources = append(m.sources, s)
	}
	m.checks = newChecks(c)
	m.inherit(c.Past)
	return m
}

// Start begins the job: slots are declared and, once it is known which tasks of earlier JobMasters run, the newest
// checkpoint is asked for.
func (m *Master) Start(now time.Time) {
	if m.config.Epoch > 1 && m.config.ReconcileTimeout > 0 {
		m.setStatus(JobReconciling, nil)
		m.reconcile = newReconciliation(now.Add(m.config.ReconcileTimeout), m.config.Former, m.config.FormerKnown)
	} else {
		m.setStatus(JobCreated, nil)
		m.setStatus(JobRunning, nil)
	}
	m.nextHeartbeat = now
	m.advance(now)
}

// Take returns what is to be done since the last call.
func (m *Master) Take() []Action {
	a := m.actions
	m.actions = nil
	return a
}

func (m *Master) do(a Action) { m.actions = append(m.actions, a) }

func (m *Master) send(to string, e *weirpb.Envelope) {
	e.JobId, e.Epoch = m.config.JobID, m.config.Epoch
	m.do(Send{to, e})
}

// Status is that of the job.
func (m *Master) Status() JobStatus { return m.status }

// Tick is to be called at or after the time that Next returned.
func (m *Master) Tick(now time.Time) { m.advance(now) }

// advance does all that is due. It is called after every event and may be called at any time.
func (m *Master) advance(now time.Time) {
	if m.status.Ended() {
		return
	}
	m.advanced = now
	if !now.Before(m.nextHeartbeat) {
		if now.Sub(m.nextHeartbeat) >= m.config.Heartbeat {
			m.excuse(now)
		}
		m.nextHeartbeat = now.Add(m.pace(now))
		m.findLost(now)
		m.heartbeat(now)
	}
	if !now.Before(m.nextLost) {
		m.findLost(now)
	}
	if at := m.checks.coordinator.Deadline(); !at.IsZero() && !now.Before(at) {
		m.tell(coordinator.Tick{}) // once: what it can't do now waits for another event
	}
	for m.step(now) {
	}
	m.nextHeartbeat = earliest(m.nextHeartbeat, now.Add(m.pace(now)))
}

// pace is the time until the next heartbeat. While nothing changes heartbeats tell nothing new, so every second one is left
// out, and the next comes a little early, in a moment that the steady JobMasters of a machine share: then the processes on the
// way wake once for many. What changes is said again after Heartbeat.
func (m *Master) pace(now time.Time) time.Duration {
	if !m.steady() {
		return m.config.Heartbeat
	}
	moment := max(1, m.config.Heartbeat/steadyMoments)
	at := now.Add(2 * m.config.Heartbeat)
	return 2*m.config.Heartbeat - time.Duration(at.UnixNano())%moment
}

// steadyMoments is how many moments a Heartbeat has in which steady JobMasters send theirs. One would do for them, but who
// routes the messages of a hundred jobs, or has their processes on its cores, is to have other things to do, too.
const steadyMoments = 4

// steady reports whether all tasks run and no slot is missing, and the time-out has room for fewer signs of life: where every
// second one is left out, one of the others may be lost, and this JobMaster may be late by one more itself, before somebody
// who lives is taken for lost.
func (m *Master) steady() bool {
	t := m.graph.tally
	return m.status == JobRunning && m.slots.missing() == 0 && t.running+t.finished == len(m.graph.byAttempt) &&
		m.config.HeartbeatTimeout >= steadyHeartbeatsMin*m.config.Heartbeat
}

// steadyHeartbeatsMin is how many heartbeats the time-out has at least where some are left out.
const steadyHeartbeatsMin = 5

// excuse gives all others time to be heard again, after this JobMaster was stopped itself: what has come in meanwhile is still
// to be read.
func (m *Master) excuse(now time.Time) {
	m.slots.excuse(now)
	if m.reconcile != nil && !m.reconcile.collected {
		m.reconcile.deadline = now.Add(m.config.ReconcileTimeout)
	}
}

// step takes the job on by what is possible, and reports whether anything was.
func (m *Master) step(now time.Time) bool {
	if m.status.Ended() {
		return false
	}
	m.recordHosts()
	changed := m.stepCheckpoints(now)
	for _, r := range m.graph.regions {
		changed = m.stepRegion(r, now) || changed
	}
	changed = m.stepRestore(now) || changed
	return m.stepEnd(now) || changed
}

// Next is the time of the next Tick. What was due at the last event and is not done yet waits for another event.
func (m *Master) Next() time.Time {
	var next time.Time
	if m.status.Ended() {
		return next
	}
	add := func(at time.Time) {
		if at.After(m.advanced) {
			next = earliest(next, at)
		}
	}
	add(m.nextHeartbeat)
	add(m.nextLost)
	if m.reconcile != nil {
		add(m.reconcile.deadline)
	}
	add(m.endingAt)
	for _, r := range m.graph.regions {
		add(m.regionDeadline(r))
	}
	add(m.checks.coordinator.Deadline())
	return next
}

// earliest is the earlier of two times of which zero stands for never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// setStatus moves the job on; a step that the table forbids is a bug.
func (m *Master) setStatus(to JobStatus, cause *Failure) {
	if m.status == to {
		return
	}
	if !m.status.mayBecome(to) {
		panic(fmt.Sprintf("job %s: %v can't become %v", m.config.JobID, m.status, to))
	}
	m.do(Transition{m.status, to, cause})
	m.status = to
}

// Cancel ends the job without a checkpoint.
func (m *Master) Cancel(now time.Time) {
	if m.status.Ended() || m.status == JobFailing || m.status == JobCancelling {
		return
	}
	m.setStatus(JobCancelling, nil)
	m.abandon(now, "the job is being canceled")
	m.advance(now)
}

// Fail fails the job for good.
func (m *Master) Fail(f Failure, now time.Time) {
	f.At = now
	m.record(f)
	m.failJob(f, now)
	m.advance(now)
}

// failJob ends the job as FAILED once its tasks have ended.
func (m *Master) failJob(f Failure, now time.Time) {
	if m.status.Ended() || m.status == JobFailing {
		return
	}
	m.cause = &f
	m.setStatus(JobFailing, &f)
	m.abandon(now, "the job is failing: "+f.Error())
}

// abandon drops all that leads back to running tasks, and cancels these.
func (m *Master) abandon(now time.Time, why string) {
	m.restore = nil
	m.giveUpReconcile()
	m.abortCheckpoints(why)
	for _, r := range m.graph.regions {
		m.cancelRegion(r, now)
	}
}

// stepEnd ends the job once all its tasks have.
func (m *Master) stepEnd(now time.Time) bool {
	if m.graph.tally.live > 0 {
		return m.stepEnding(now)
	}
	switch {
	case m.status == JobFailing:
		m.end(JobFailed)
	case m.status == JobCancelling:
		m.end(JobCanceled)
	case m.checks.ending && m.quiet():
		m.end(m.checks.ends)
	case m.status == JobRunning && m.quiet() && m.graph.tally.finished == len(m.graph.byAttempt):
		m.end(JobFinished)
	default:
		return false
	}
	return true
}

// quiet reports whether nothing is with the store or the committers.
func (m *Master) quiet() bool { return m.settled() && m.checks.commit == nil }

// end says how the job ended. What finished tasks have read is known to their executors alone until that is recorded, so they
// are let go then; those of a job that goes on elsewhere at once.
func (m *Master) end(status JobStatus) {
	for _, s := range m.sources {
		if s.instance > 0 {
			m.do(StopEnumerator{m.sourceIndex(s), s.instance})
		}
	}
	if !status.Terminal() {
		m.Release()
	}
	m.setStatus(status, m.cause)
	m.do(Ended{Status: status, Cause: m.cause, Savepoint: m.checks.savepoint, Checkpoint: m.checks.final})
}

// Release gives all slots back, after the end of the job.
func (m *Master) Release() {
	for _, id := range m.slots.order {
		tm := m.slots.managers[id]
		m.send(id, &weirpb.Envelope{Body: &weirpb.Envelope_AnswerSlots{AnswerSlots: &weirpb.AnswerSlots{
			Incarnation: tm.incarnation, Returned: m.slots.of(id),
		}}})
	}
	m.needsVersion++
	m.send(m.config.ResourceManager, m.needs(0))
}

// record takes a failure into the history.
func (m *Master) record(f Failure) {
	if len(m.failures) == FailuresMax {
		m.failures = append(m.failures[:0], m.failures[1:]...)
	}
	m.failures = append(m.failures, f)
	m.do(FailureSeen{f})
}
