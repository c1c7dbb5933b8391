// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// pace tells when reports are due: one a heartbeat. While the JobMaster says that it leaves out every second heartbeat, and
// the tasks have nothing to do either, the next report is sent when a heartbeat comes: half as often, and in the same moment
// as what else wakes the processes on the way.
type pace struct {
	heartbeat  time.Duration
	next, last time.Time
	// steady is what the JobMaster's last heartbeat said. idle tells that the last two reports were the same but for the time
	// that went by, and that nothing else was sent since. moved sums up what had been done by the last report.
	steady, idle bool
	moved        int64
}

// reported takes that a report is sent, and decides when the next is due.
func (p *pace) reported(r *weirpb.ExecutorReport, reconciling bool, now time.Time) {
	moved := movedIn(r.GetTasks())
	p.idle = moved == p.moved && !reconciling && len(r.GetAcknowledged()) == 0 && !slices.ContainsFunc(r.GetTasks(), unsettled)
	p.last, p.moved = now, moved
	p.next = now.Add(p.heartbeat)
	if p.steady && p.idle {
		p.next = now.Add(5 * p.heartbeat / 2) // in case the next heartbeat is late: it comes after two
	}
}

// beat takes a heartbeat of the JobMaster.
func (p *pace) beat(steady bool) {
	p.steady = steady
	if steady && p.idle {
		p.hasten(p.heartbeat / 2) // with this heartbeat, most likely
	} else {
		p.hasten(p.heartbeat)
	}
}

// restless takes that something has happened that the JobMaster must hear of: should that get lost, the next report says it.
func (p *pace) restless() {
	p.idle = false
	p.hasten(p.heartbeat)
}

// hasten has the next report sent so long after the last one, unless it is due before that.
func (p *pace) hasten(after time.Duration) {
	if at := p.last.Add(after); at.Before(p.next) {
		p.next = at
	}
}

// unsettled reports whether an attempt is on its way from one state to another.
func unsettled(s *weirpb.TaskStatus) bool {
	return s.GetState() != weirpb.TaskState_TASK_STATE_RUNNING && s.GetState() != weirpb.TaskState_TASK_STATE_FINISHED
}

// movedIn sums up what tasks have done: it grows when one does something.
func movedIn(tasks []*weirpb.TaskStatus) (n int64) {
	for _, s := range tasks {
		m := s.GetMetrics()
		n += s.GetAssigned() + s.GetReady() + m.GetBatchesIn() + m.GetBytesIn() + m.GetBytesOut()
		for _, o := range m.GetOperators() {
			n += o.GetRecordsIn() + o.GetRecordsOut() + o.GetLateDropped()
		}
	}
	return n
}
