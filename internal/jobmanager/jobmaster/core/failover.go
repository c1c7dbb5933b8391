// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// failExecution takes the failure of an attempt: its whole region starts again, if the restart strategy lets it.
func (m *Master) failExecution(e *execution, f Failure, now time.Time) {
	wanted := e.state != Canceling
	if !e.transition(Failed, now) {
		return
	}
	f.At = now
	f = m.graph.at(f, e)
	e.cause = &f
	if !wanted {
		return // a task that fails while it is being canceled has ended, too
	}
	m.record(f)
	m.failRegions([]*region{m.graph.regionOfExecution(e)}, f, now)
}

// failRegions cancels regions and plans their restart. A second failure meanwhile folds in.
func (m *Master) failRegions(failed []*region, f Failure, now time.Time) {
	failed = slices.DeleteFunc(failed, func(r *region) bool { return r.state == regionCanceling || r.state == regionDone })
	if m.status == JobFailing || m.status == JobCancelling || len(failed) == 0 {
		return
	}
	if m.checks.ending { // all output is safe in a checkpoint that nothing follows: only commits are left to do
		for _, r := range failed {
			m.cancelRegion(r, now)
		}
		return
	}
	if f.Kind == Fatal {
		m.failJob(f, now)
		return
	}
	m.abortCheckpoints("a task failed: " + f.Error())
	delay, ok := m.restarts.next(now)
	if !ok {
		m.failJob(f, now)
		return
	}
	m.setStatus(JobRestarting, &f)
	for _, r := range failed {
		m.cancelRegion(r, now)
		r.restartAt = now.Add(delay)
	}
}

// failAll restarts the whole job.
func (m *Master) failAll(f Failure, now time.Time) {
	f.At = now
	m.record(f)
	if m.status == JobFailing || m.status == JobCancelling || m.checks.ending {
		return
	}
	m.abortCheckpoints(f.Error())
	delay, ok := m.restarts.next(now)
	if !ok || f.Kind == Fatal {
		m.failJob(f, now)
		return
	}
	m.setStatus(JobRestarting, &f)
	m.restore = nil
	m.giveUpReconcile()
	for _, r := range m.graph.regions {
		m.cancelRegion(r, now)
		r.restartAt = now.Add(delay)
	}
}

// cancelRegion ends all attempts of a region.
func (m *Master) cancelRegion(r *region, now time.Time) {
	if r.state == regionCanceling {
		return
	}
	r.state, r.deadline = regionCanceling, now.Add(m.cancelTimeout(r))
	for _, s := range r.members {
		e := m.graph.of(s)
		if e.deployed() {
			e.transition(Canceling, now)
		} else {
			e.transition(Canceled, now)
		}
	}
	m.sendCancels(func(f func(*execution)) {
		for _, s := range r.members {
			f(m.graph.of(s))
		}
	})
}

// cancelTimeout is how long the tasks of a region may take to end. A TaskManager kills an executor that is a process after
// the time-out of its own, and tells of the loss: it is waited for longer than that.
func (m *Master) cancelTimeout(r *region) time.Duration {
	for _, s := range r.members {
		e := m.graph.of(s)
		if tm := m.slots.managers[e.taskManager]; e.deployed() && tm != nil && tm.stream.process != "" {
			return 2 * m.config.CancelTimeout
		}
	}
	return m.config.CancelTimeout
}

// stepRegion takes a region on by one state if it can.
func (m *Master) stepRegion(r *region, now time.Time) bool {
	switch r.state {
	case regionCanceling:
		return m.stepCanceling(r, now)
	case regionWaiting:
		return m.stepWaiting(r, now)
	case regionBackoff, regionRestoring, regionDeployed, regionDone:
	}
	return false
}

func (m *Master) stepCanceling(r *region, now time.Time) bool {
	if m.graph.regionEvery(r, func(e *execution) bool { return e.state.Terminal() }) {
		r.state = regionBackoff
		if m.checks.ending || m.status == JobFailing || m.status == JobCancelling {
			r.state = regionDone
		}
		return true
	}
	if now.Before(r.deadline) {
		return false
	}
	m.leaveBehind(r, now)
	return true
}

// leaveBehind gives up on attempts that don't end: a goroutine can't be killed, and nothing must run beside it.
func (m *Master) leaveBehind(r *region, now time.Time) {
	for _, s := range r.members {
		e := m.graph.of(s)
		if e.state.Terminal() {
			continue
		}
		f := m.graph.at(Failure{
			At: now, Kind: Fatal,
			Text: fmt.Sprintf("the task did not end within %v of being canceled: its goroutine is left behind",
				m.cancelTimeout(r)),
		}, e)
		e.transition(Failed, now)
		e.cause = &f
		m.record(f)
		if m.checks.ending {
			continue // the output is safe: the job has ended all the same
		}
		if m.status == JobCancelling || m.status == JobFailing {
			m.cause = &f
		}
		if m.status == JobCancelling {
			m.setStatus(JobFailing, &f)
		}
		m.failJob(f, now)
	}
}

// stepWaiting deploys a region whose slots are there.
func (m *Master) stepWaiting(r *region, now time.Time) bool {
	missing, silent, recorded := 0, "", true
	for _, s := range r.members {
		slot := m.slots.at(s.index)
		if slot == nil {
			missing++
		} else if m.slots.address(slot.taskManager) == "" {
			silent = slot.taskManager
		} else {
			recorded = recorded && m.isHost(m.slots.managers[slot.taskManager])
		}
	}
	if missing == 0 && silent == "" {
		if !recorded {
			return false // soon: the store is told of it
		}
		m.deploy(r, now)
		return true
	}
	if now.Before(r.began.Add(m.config.SlotTimeout)) {
		return false
	}
	f := Failure{At: now, Kind: World, Text: fmt.Sprintf(
		"%d of the %d slots that the job needs are missing after %v: start more TaskManagers or lower the parallelism",
		m.slots.missing(), len(m.slots.seats), m.config.SlotTimeout)}
	if missing == 0 {
		f.TaskManager = silent
		f.Text = fmt.Sprintf("the executor on TaskManager %s has not reported within %v: %s", silent, m.config.SlotTimeout,
			cmp.Or(m.slots.managers[silent].trouble, "see its log"))
	}
	m.record(f)
	m.failJob(f, now)
	return true
}

// regionDeadline is when something is due for the region even if nothing happens.
func (m *Master) regionDeadline(r *region) time.Time {
	switch r.state {
	case regionCanceling:
		return r.deadline
	case regionBackoff:
		return r.restartAt
	case regionWaiting:
		return r.began.Add(m.config.SlotTimeout)
	case regionRestoring, regionDeployed, regionDone:
	}
	return time.Time{}
}

// findLost drops TaskManagers that were silent for too long, and notes when the next may have been.
func (m *Master) findLost(now time.Time) {
	m.nextLost = now.Add(m.config.HeartbeatTimeout)
	for i := len(m.slots.order) - 1; i >= 0; i-- {
		tm := m.slots.managers[m.slots.order[i]]
		if now.Sub(tm.heard) >= m.config.HeartbeatTimeout {
			m.lose(tm.id, fmt.Sprintf("TaskManager %s gave no sign of life for %v", tm.id, m.config.HeartbeatTimeout), now)
		} else {
			m.nextLost = earliest(m.nextLost, tm.heard.Add(m.config.HeartbeatTimeout))
		}
	}
}

// lose drops a TaskManager: its tasks have failed, or ended if they were to. That is one failure, whatever ran there.
func (m *Master) lose(id, why string, now time.Time) {
	held := len(m.slots.held)
	m.slots.drop(id)
	m.reconcile.lost(id)
	m.failTogether(m.graph.on(id), Failure{TaskManager: id, Text: why, Kind: World}, now)
	if len(m.slots.held) < held {
		m.declareNeeds() // others may have slots: the next heartbeat would be late
	}
}

// failTogether takes that attempts ended for one reason: it is recorded once, and the restart strategy is asked once.
func (m *Master) failTogether(ended []*execution, f Failure, now time.Time) {
	f.At = now
	var regions []*region
	for _, e := range ended {
		if !e.deployed() {
			continue
		}
		if e.state == Canceling {
			e.transition(Canceled, now)
			continue
		}
		e.transition(Failed, now)
		e.cause = &f
		if len(regions) == 0 {
			f.Task = m.graph.taskName(e)
		}
		if r := m.graph.regionOfExecution(e); !slices.Contains(regions, r) {
			regions = append(regions, r)
		}
	}
	if len(regions) > 0 {
		m.record(f)
		m.failRegions(regions, f, now)
	}
}
