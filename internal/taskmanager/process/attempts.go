// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// attempts is what a TaskManager knows of the attempts in an executor's process, from the messages that pass by: which are
// gone if the process ends, and which don't end although they were canceled. It has no clock.
type attempts struct {
	byID map[int64]*attempt
	// heartbeat is the sequence of the newest heartbeat of the epoch.
	heartbeat int64
}

type attempt struct {
	// deployed is the sequence of the message that brought it: older heartbeats don't know it.
	deployed int64
	// canceled is when it was first asked to end; zero if it was not.
	canceled time.Time
	ended    bool
	// known tells that the JobMaster knows how it ended.
	known bool
}

func (a *attempts) add(id, sequence int64) *attempt {
	x := a.byID[id]
	if x == nil {
		x = &attempt{deployed: sequence}
		if a.byID == nil {
			a.byID = map[int64]*attempt{}
		}
		a.byID[id] = x
	}
	return x
}

// deploy and cancel note what the JobMaster asks for.
func (a *attempts) deploy(d *weirpb.DeployTasks, sequence int64) {
	for _, t := range d.GetTasks() {
		a.add(t.GetAttempt(), sequence)
	}
}

func (a *attempts) cancel(ids []int64, sequence int64, now time.Time) {
	for _, id := range ids {
		a.add(id, sequence).cancel(now)
	}
}

func (x *attempt) cancel(now time.Time) {
	if x.canceled.IsZero() {
		x.canceled = now
	}
}

// wanted takes a heartbeat: what it doesn't list is canceled, as the executor does, or forgotten if it has ended.
func (a *attempts) wanted(h *weirpb.JobMasterHeartbeat, sequence int64, now time.Time) {
	if sequence <= a.heartbeat {
		return
	}
	a.heartbeat = sequence
	for id, x := range a.byID {
		x.known = x.known || x.ended && slices.Contains(h.GetEnded(), id)
		switch {
		case h.GetReconciling(), slices.Contains(h.GetAttempts(), id), x.deployed >= sequence:
		case x.ended:
			delete(a.byID, id)
		default:
			x.cancel(now)
		}
	}
}

// follow begins to count the messages of another JobMaster.
func (a *attempts) follow() {
	a.heartbeat = 0
	for _, x := range a.byID {
		x.deployed, x.known = 0, false
	}
}

// report takes what the process says of a task.
func (a *attempts) report(s *weirpb.TaskStatus, now time.Time) {
	x := a.byID[s.GetAttempt()]
	if x == nil {
		return
	}
	switch s.GetState() {
	case weirpb.TaskState_TASK_STATE_FINISHED, weirpb.TaskState_TASK_STATE_CANCELED, weirpb.TaskState_TASK_STATE_FAILED:
		x.ended = true
	case weirpb.TaskState_TASK_STATE_CANCELING:
		x.cancel(now)
	default: // it runs, or will
	}
}

// overdue returns the first attempt, by id, that was to end before a time and has not; false if there is none.
func (a *attempts) overdue(before time.Time) (id int64, found bool) {
	for k, x := range a.byID {
		if !x.ended && !x.canceled.IsZero() && !x.canceled.After(before) && (!found || k < id) {
			id, found = k, true
		}
	}
	return id, found
}

// lose empties the list, since the process has ended, and returns the ids of which the JobMaster doesn't know that, in order. newest is
// the sequence of the message that brought the last of them.
func (a *attempts) lose() (ids []int64, newest int64) {
	for id, x := range a.byID {
		if x.known {
			continue // finished tasks stay wanted, for what they have read
		}
		ids = append(ids, id)
		newest = max(newest, x.deployed)
	}
	slices.Sort(ids)
	clear(a.byID)
	return ids, newest
}
