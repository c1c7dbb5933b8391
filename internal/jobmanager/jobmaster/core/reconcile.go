// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"maps"
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// reconciliation is what a JobMaster of a later epoch has found of the job so far: its slots, and what the executors in them
// report. It ends when every subtask is accounted for; when no more can be found, since each TaskManager that may run tasks,
// as the store has it, has reported or is gone; or when its time is up.
//
//	needs --> ResourceManager --> TaskManagers --offers--> here --heartbeat--> executors --reports--> here --> adopt
//
// While it lasts, heartbeats say so: nothing is canceled or freed because the JobMaster does not know it yet.
type reconciliation struct {
	deadline time.Time
	// collected is set at its end: what comes later is still noted, but not waited for.
	collected bool
	// news tells that something came since it was last seen whether all is there.
	news bool
	// slots are those that TaskManagers have for the job, by allocation; reports the newest ones, by TaskManager.
	slots   map[string]knownSlot
	reports map[string]knownReport
	// former are the TaskManagers that may run tasks, by name; known tells that there are no others.
	former map[string]*formerHost
	known  bool
}

// formerHost is a TaskManager that had slots of the job. It is settled when nothing more is to be found there.
type formerHost struct {
	incarnation    string
	reported, gone bool
}

type knownSlot struct {
	taskManager string
	sequence    int64
	// at is when the TaskManager said last that it has the slot.
	at time.Time
}

type knownReport struct {
	*weirpb.ExecutorReport
	sequence int64
}

func newReconciliation(deadline time.Time, former []Host, known bool) *reconciliation {
	c := &reconciliation{
		deadline: deadline, news: true, slots: map[string]knownSlot{}, reports: map[string]knownReport{},
		former: map[string]*formerHost{}, known: known,
	}
	for _, h := range former {
		c.former[h.TaskManager] = &formerHost{incarnation: h.Incarnation}
	}
	return c
}

// sought are the TaskManagers that have not reported and may be gone.
func (c *reconciliation) sought() []*weirpb.Host {
	if c == nil || c.collected || !c.known {
		return nil
	}
	var all []*weirpb.Host
	for _, id := range slices.Sorted(maps.Keys(c.former)) {
		if h := c.former[id]; !h.settled() {
			all = append(all, &weirpb.Host{TaskManager: id, Incarnation: h.incarnation})
		}
	}
	return all
}

func (h *formerHost) settled() bool { return h.reported || h.gone }

// exhausted reports whether no task can be found that was not.
func (c *reconciliation) exhausted() bool {
	if !c.known {
		return false
	}
	for _, h := range c.former {
		if !h.settled() {
			return false
		}
	}
	return true
}

// gone takes that TaskManagers have ended, or have no slot of the job.
func (c *reconciliation) gone(all []*weirpb.Host) {
	if c == nil {
		return
	}
	for _, g := range all {
		if h := c.former[g.GetTaskManager()]; h != nil && h.incarnation == g.GetIncarnation() {
			h.gone, c.news = true, true
		}
	}
}

// seen takes which start of a TaskManager is there: an earlier one is gone.
func (c *reconciliation) seen(taskManager, incarnation string) {
	if h := c.former[taskManager]; h != nil && h.incarnation != incarnation {
		h.gone, c.news = true, true
	}
}

// offered takes the slots of an offer, and those that the job holds already.
func (c *reconciliation) offered(o *weirpb.OfferSlots, sequence int64, now time.Time) {
	c.seen(o.GetTaskManager(), o.GetIncarnation())
	has := slices.Clone(o.GetHeld())
	for _, a := range o.GetAllocations() {
		has = append(has, a.GetAllocationId())
	}
	c.has(o.GetTaskManager(), has, sequence, now)
	maps.DeleteFunc(c.slots, func(id string, s knownSlot) bool {
		return s.taskManager == o.GetTaskManager() && s.sequence < sequence && !slices.Contains(has, id)
	})
}

func (c *reconciliation) has(taskManager string, allocations []string, sequence int64, now time.Time) {
	for _, id := range allocations {
		c.slots[id] = knownSlot{taskManager, max(sequence, c.slots[id].sequence), now}
	}
}

// reported takes all that an executor knows.
func (c *reconciliation) reported(r *weirpb.ExecutorReport, sequence int64, now time.Time) {
	c.has(r.GetTaskManager(), r.GetAllocations(), 0, now) // the executor's count of messages may be another
	c.reports[r.GetTaskManager()] = knownReport{r, sequence}
	c.seen(r.GetTaskManager(), r.GetIncarnation())
	if h := c.former[r.GetTaskManager()]; h != nil {
		h.reported = true
	}
	c.news = true
}

// changed takes what a task says between two reports.
func (c *reconciliation) changed(s *weirpb.TaskStatus) {
	if c == nil {
		return
	}
	for _, r := range c.reports {
		for _, known := range r.GetTasks() {
			if state, _ := stateOf(known.GetState()); known.GetAttempt() == s.GetAttempt() && !state.Terminal() {
				known.State, known.Error, known.Kind = s.GetState(), s.GetError(), s.GetKind()
				known.InputsEnded = known.GetInputsEnded() || s.GetInputsEnded()
				c.news = true
			}
		}
	}
}

// lost forgets a TaskManager.
func (c *reconciliation) lost(taskManager string) {
	if c == nil {
		return
	}
	delete(c.reports, taskManager)
	if h := c.former[taskManager]; h != nil {
		h.reported = false // it may come back
	}
	maps.DeleteFunc(c.slots, func(_ string, s knownSlot) bool { return s.taskManager == taskManager })
}

// ended forgets the attempts of an executor process that has ended.
func (c *reconciliation) ended(x *weirpb.ExecutorLost) {
	if c == nil {
		return
	}
	if r, ok := c.reports[x.GetTaskManager()]; ok {
		r.Tasks = slices.DeleteFunc(r.Tasks, func(s *weirpb.TaskStatus) bool {
			return slices.Contains(x.GetAttempts(), s.GetAttempt())
		})
	}
}

// step reports whether the restore may begin.
func (c *reconciliation) step(m *Master, now time.Time) bool {
	if c == nil || c.collected {
		return true
	}
	c.collected = !now.Before(c.deadline)
	if c.news && !c.collected {
		c.news = false
		found, exhausted := c.candidates(m.graph), c.exhausted()
		c.collected = m.graph.every(func(e *execution) bool {
			switch found[e.vertex][e.subtask].state() {
			case Running, Finished:
				return true
			case Created, Failed, Canceled:
				return exhausted
			default:
				return false
			}
		})
	}
	return c.collected
}

// candidate is the newest attempt of a subtask that an executor has reported.
type candidate struct {
	status      *weirpb.TaskStatus
	taskManager string
	sequence    int64
	fingerprint uint64
	process     string
}

// state is that of the candidate; Created where there is none.
func (c *candidate) state() ExecutionState {
	if c == nil {
		return Created
	}
	state, _ := stateOf(c.status.GetState())
	return state
}

// candidates finds the newest attempt of each subtask, indexed as the graph.
func (c *reconciliation) candidates(g *executionGraph) [][]*candidate {
	found := make([][]*candidate, len(g.current))
	for v := range found {
		found[v] = make([]*candidate, len(g.current[v]))
	}
	for _, id := range slices.Sorted(maps.Keys(c.reports)) {
		r := c.reports[id]
		for _, s := range r.GetTasks() {
			v, k := int(s.GetVertex()), int(s.GetSubtask())
			// An attempt that was canceled before it came has no place.
			if s.GetDeployment() == 0 || v < 0 || v >= len(found) || k < 0 || k >= len(found[v]) {
				continue
			}
			if old := found[v][k]; old == nil || old.status.GetAttempt() < s.GetAttempt() {
				found[v][k] = &candidate{s, id, r.sequence, r.GetFingerprint(), r.GetProcess()}
			}
		}
	}
	return found
}

// freshHeartbeats is for how many heartbeats an offer counts that is not repeated.
const freshHeartbeats = 3

// giveUpReconcile ends the reconciliation without adopting anything: something failed that all must start again for.
func (m *Master) giveUpReconcile() {
	if m.reconcile != nil {
		m.endReconcile()
	}
}

// endReconcile gives the seats that are free to the slots that are left, returns the others, and lets the TaskManagers know
// what is wanted: the rest is canceled. An offer that was not repeated lately was taken back, or is made again.
func (m *Master) endReconcile() {
	c := m.reconcile
	m.reconcile = nil
	answers := map[string]*weirpb.AnswerSlots{}
	for _, id := range slices.Sorted(maps.Keys(c.slots)) {
		s := c.slots[id]
		tm := m.slots.managers[s.taskManager]
		if tm == nil || m.slots.held[id] == nil && m.advanced.Sub(s.at) >= freshHeartbeats*m.config.Heartbeat {
			continue
		}
		a := answers[tm.id]
		if a == nil {
			a = &weirpb.AnswerSlots{Incarnation: tm.incarnation}
			answers[tm.id] = a
		}
		if m.slots.offer(id, tm.id, s.sequence) {
			a.Accepted = append(a.Accepted, id)
		} else {
			a.Returned = append(a.Returned, id)
		}
	}
	for _, id := range m.slots.order {
		tm := m.slots.managers[id]
		if r, ok := c.reports[id]; ok {
			tm.ended = endedIn(r.GetTasks())
		}
		if a := answers[id]; a != nil {
			m.send(id, &weirpb.Envelope{Body: &weirpb.Envelope_AnswerSlots{AnswerSlots: a}})
		}
		m.sendHeartbeat(tm)
	}
	m.declareNeeds()
}

// endedIn lists the attempts that have ended.
func endedIn(tasks []*weirpb.TaskStatus) []int64 {
	var ended []int64
	for _, s := range tasks {
		if state, ok := stateOf(s.GetState()); ok && state.Terminal() {
			ended = append(ended, s.GetAttempt())
		}
	}
	return ended
}
