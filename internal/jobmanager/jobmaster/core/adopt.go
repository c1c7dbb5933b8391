// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// adoption decides which regions run on under this JobMaster. It is a pure function of what was found: a region is adopted
// whole, if each of its tasks runs or has finished, they were deployed together, and all that they did is in the newest
// complete checkpoint or follows from it. The rest starts again from that checkpoint.
type adoption struct {
	graph    *executionGraph
	found    [][]*candidate
	slots    map[string]knownSlot
	sources  []*source
	metadata *checkpoint.Metadata
	// restored is the id of the checkpoint, newest that of the newest complete one.
	restored, newest int64
	// seats are the allocations of the regions that were adopted, by subtask; seatOf is the inverse.
	seats  map[int]string
	seatOf map[string]int
}

// region says why a region can't be adopted; it is empty if it can.
func (a *adoption) region(r *region) string {
	if a.restored != a.newest {
		return fmt.Sprintf("checkpoint %d can't be read, so all starts from the one before", a.newest)
	}
	var deployment int64
	for _, s := range r.members {
		c, name := a.found[s.vertex][s.index], a.graph.taskName(a.graph.of(s))
		var why string
		switch state := c.state(); {
		case c == nil:
			why = "no executor knows the task"
		case state != Running && state != Finished:
			why = "it is " + state.String()
		case c.fingerprint != a.graph.job.Fingerprint:
			why = fmt.Sprintf("its executor describes another graph: %016x", c.fingerprint)
		case deployment != 0 && c.status.GetDeployment() != deployment:
			why = "it was not deployed together with the others of its region"
		case c.status.GetDrained():
			why = "it was drained for a stop that did not complete"
		default:
			why = a.task(s, c)
		}
		if why != "" {
			return name + ": " + why
		}
		deployment = c.status.GetDeployment()
	}
	a.takeSeats(r)
	return ""
}

// task says what is wrong with a task that runs or has finished.
func (a *adoption) task(s subtask, c *candidate) string {
	finished, took := c.state() == Finished, slices.Contains(c.status.GetAcknowledged(), a.restored)
	if took && a.metadata != nil && a.metadata.Kind == checkpoint.Suspend {
		return fmt.Sprintf("it was stopped with checkpoint %d", a.restored)
	}
	if !took && c.status.GetRestored() != a.restored &&
		(!finished || !a.finished(s)) {
		return fmt.Sprintf("it took no part in checkpoint %d", a.restored)
	}
	if why := a.slot(s, c.status.GetAllocationId(), c.taskManager); why != "" && !finished {
		return why
	}
	return a.reader(s, c.status)
}

// finished reports whether the checkpoint has the task as finished.
func (a *adoption) finished(s subtask) bool {
	if a.metadata == nil {
		return false
	}
	for _, n := range a.graph.job.Vertices[s.vertex].Nodes {
		if op := a.metadata.Operator(operatorID(n)); op != nil && s.index < len(op.Subtasks) {
			return op.Subtasks[s.index].Finished
		}
	}
	return false
}

// slot says why the slot of a task can't be that of its seat.
func (a *adoption) slot(s subtask, allocation, taskManager string) string {
	if a.slots[allocation].taskManager != taskManager {
		return "its TaskManager has no such slot for the job any more"
	}
	if other, taken := a.seats[s.index]; taken && other != allocation {
		return "its slot is not that of the other subtasks of its number"
	}
	if other, taken := a.seatOf[allocation]; taken && other != s.index {
		return "its slot holds subtasks of another number"
	}
	return ""
}

// takeSeats keeps the slots of a region that is adopted.
func (a *adoption) takeSeats(r *region) {
	for _, s := range r.members {
		c := a.found[s.vertex][s.index]
		if id := c.status.GetAllocationId(); a.slot(s, id, c.taskManager) == "" {
			a.seats[s.index], a.seatOf[id] = id, s.index
		}
	}
}

// reader says what is wrong with a task that reads: what was assigned to it since the checkpoint must be known, and none of
// that may have been given to others.
func (a *adoption) reader(s subtask, status *weirpb.TaskStatus) string {
	i := slices.IndexFunc(a.sources, func(x *source) bool { return x.vertex == s.vertex })
	if i < 0 {
		return ""
	}
	for k := range a.found[s.vertex] {
		c := a.found[s.vertex][k]
		if c == nil {
			continue
		}
		for _, x := range c.status.GetReader().GetSuperseded() {
			if (x.GetSubtask() == allReaders || int(x.GetSubtask()) == s.index) && status.GetAttempt() < x.GetBelow() {
				return "it was given up before, and its splits may be with others"
			}
		}
	}
	log, base := status.GetReader(), a.base(s, status)
	if log.GetAfter() > base || log.GetAfter()+int64(len(log.GetAssignments())) != status.GetAssigned() || base > status.GetAssigned() {
		return fmt.Sprintf("it does not know all splits that were assigned to it since number %d", base)
	}
	return ""
}

// base is the number of the last assignment to a reader that the checkpoint holds. Numbers count from the start of an
// attempt: one that was deployed from that checkpoint began anew.
func (a *adoption) base(s subtask, status *weirpb.TaskStatus) int64 {
	took := slices.Contains(status.GetAcknowledged(), a.restored)
	if a.metadata == nil || !took && status.GetRestored() == a.restored {
		return 0
	}
	op := a.metadata.Operator(operatorID(a.graph.job.Vertices[s.vertex].Source()))
	if op == nil || op.Enumerator == nil || s.index >= len(op.Enumerator.Assigned) {
		return 0
	}
	return op.Enumerator.Assigned[s.index]
}

// log makes the log of a reader that is adopted, as it would be had this JobMaster led from the start.
func (a *adoption) log(s subtask, status *weirpb.TaskStatus) reader {
	base := a.base(s, status)
	r := reader{last: base, covered: base, pruned: base, sent: status.GetAssigned()}
	for _, x := range status.GetReader().GetAssignments() {
		if x.GetNumber() > base {
			r.assign(assignment{x.GetSplits(), x.GetNoMoreSplits()})
		}
	}
	return r
}

// execution makes the current one of its place of a task that is adopted.
func (a *adoption) execution(s subtask, now time.Time) *execution {
	c := a.found[s.vertex][s.index]
	e := &execution{
		vertex: s.vertex, subtask: s.index, attempt: c.status.GetAttempt(), state: c.state(), since: now,
		allocation: c.status.GetAllocationId(), taskManager: c.taskManager, process: c.process, seen: true, shown: c.sequence, deployedAt: now,
		inputsEnded: c.status.GetInputsEnded(), metrics: c.status.GetMetrics(),
		ready: c.status.GetReady(), forwarded: c.status.GetReady(),
	}
	e.recall(c.status, now)
	if c.status.GetReader().GetWaiting() {
		e.forwarded-- // the answer died with the enumerator
	}
	return e
}

// adopt decides about all regions at once, now that the newest checkpoint is known and committed. Those that are not adopted
// stay with the restore.
func (m *Master) adopt(now time.Time) {
	a := &adoption{
		graph: m.graph, found: m.reconcile.candidates(m.graph), slots: m.reconcile.slots, sources: m.sources,
		metadata: m.restore.metadata, restored: m.restore.id(m), newest: m.config.Newest,
		seats: map[int]string{}, seatOf: map[string]int{},
	}
	var done Reconciled
	var fatal *Failure
	m.restore.regions = slices.DeleteFunc(m.restore.regions, func(r *region) bool {
		why := a.region(r)
		if why == "" {
			done.Adopted++
			m.adoptRegion(r, a, now)
			return true
		}
		done.Restarted = append(done.Restarted, RestartedRegion{r.index, why})
		m.countOn(r, a.found)
		failed, f := m.noteFailure(r, a.found, now)
		if fatal == nil {
			fatal = f
		}
		return failed
	})
	for k := range m.slots.seats {
		if id, taken := a.seats[k]; taken {
			m.slots.seat(k, id, a.slots[id].taskManager, a.slots[id].sequence)
		}
	}
	m.do(done)
	m.endReconcile()
	switch {
	case fatal != nil:
		m.failJob(*fatal, now)
	case len(done.Restarted) > 0:
		m.setStatus(JobRestarting, nil)
	default:
		m.setStatus(JobRunning, nil)
	}
}

// adoptRegion takes on the tasks of a region as they are.
func (m *Master) adoptRegion(r *region, a *adoption, now time.Time) {
	r.state, r.began = regionDeployed, now
	r.restore, r.restored = m.restore.encoded, a.restored
	for _, s := range r.members {
		e, status := a.execution(s, now), a.found[s.vertex][s.index].status
		e.endpoint = m.slots.address(e.taskManager)
		m.restarts.granted = max(m.restarts.granted, int64(e.number))
		m.graph.adopt(e)
		r.deployment = status.GetDeployment()
		if src := m.sourceOf(e); src != nil {
			if src.adopted == nil {
				src.adopted = map[int]reader{}
			}
			src.adopted[s.index] = a.log(s, status)
			for _, x := range status.GetReader().GetSuperseded() {
				src.supersede(int(x.GetSubtask()), x.GetBelow())
			}
		}
	}
}

// noteFailure takes into account that a task of a region failed while nobody led the job: the restart strategy decides when
// it goes on, or that the job fails of it.
func (m *Master) noteFailure(r *region, found [][]*candidate, now time.Time) (failed bool, fatal *Failure) {
	for _, s := range r.members {
		c := found[s.vertex][s.index]
		if c.state() != Failed {
			continue
		}
		f := failureOf(c.status)
		f.At, f.Task, f.TaskManager = now, m.graph.taskName(m.graph.of(s)), c.taskManager
		m.record(f)
		delay, ok := m.restarts.next(now)
		r.state, r.restartAt = regionBackoff, now.Add(delay)
		if !ok || f.Kind == Fatal {
			return true, &f
		}
		return true, nil
	}
	return false, nil
}
