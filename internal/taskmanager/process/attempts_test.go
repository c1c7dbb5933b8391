// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"slices"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

func TestAttempts(t *testing.T) {
	now := time.Unix(100, 0)
	a := &attempts{}
	a.deploy(&weirpb.DeployTasks{Tasks: []*weirpb.TaskDescriptor{{Attempt: 2}, {Attempt: 1}, {Attempt: 3}}}, 5)
	// A heartbeat that was sent before knows nothing of them; one sent later cancels what it does not list.
	a.wanted(&weirpb.JobMasterHeartbeat{}, 4, now)
	if id, found := a.overdue(now); found {
		t.Errorf("attempt %d was canceled by an old heartbeat", id)
	}
	a.wanted(&weirpb.JobMasterHeartbeat{Attempts: []int64{1, 2}}, 6, now)
	a.cancel([]int64{2, 4}, 7, now.Add(time.Second))
	if id, found := a.overdue(now); !found || id != 3 {
		t.Errorf("overdue: %d, %v", id, found)
	}
	a.report(&weirpb.TaskStatus{Attempt: 3, State: weirpb.TaskState_TASK_STATE_CANCELED}, now)
	if id, found := a.overdue(now); found {
		t.Errorf("attempt %d is overdue although it has ended", id)
	}
	if id, found := a.overdue(now.Add(time.Second)); !found || id != 2 {
		t.Errorf("overdue: %d, %v", id, found)
	}
	// That 5 has finished is known, and that 1 has is not. The end of 3 is of no concern any more.
	a.deploy(&weirpb.DeployTasks{Tasks: []*weirpb.TaskDescriptor{{Attempt: 5}}}, 7)
	a.report(&weirpb.TaskStatus{Attempt: 1, State: weirpb.TaskState_TASK_STATE_FINISHED}, now)
	a.report(&weirpb.TaskStatus{Attempt: 5, State: weirpb.TaskState_TASK_STATE_FINISHED}, now)
	a.wanted(&weirpb.JobMasterHeartbeat{Attempts: []int64{1, 5}, Ended: []int64{5}}, 8, now)
	if got, newest := a.lose(); !slices.Equal(got, []int64{1, 2, 4}) || newest != 7 {
		t.Errorf("lost %v, the newest by message %d", got, newest)
	}
	if got, _ := a.lose(); len(got) > 0 {
		t.Errorf("lost twice: %v", got)
	}
}

// TestAttemptsOfASuccessor: a JobMaster that takes over asks first what there is, and cancels nothing by that.
func TestAttemptsOfASuccessor(t *testing.T) {
	now := time.Unix(100, 0)
	a := &attempts{}
	a.deploy(&weirpb.DeployTasks{Tasks: []*weirpb.TaskDescriptor{{Attempt: 1}, {Attempt: 2}}}, 50)
	a.report(&weirpb.TaskStatus{Attempt: 2, State: weirpb.TaskState_TASK_STATE_FINISHED}, now)
	a.wanted(&weirpb.JobMasterHeartbeat{Attempts: []int64{1, 2}, Ended: []int64{2}}, 60, now)
	a.follow()
	a.wanted(&weirpb.JobMasterHeartbeat{Reconciling: true}, 1, now)
	if id, found := a.overdue(now); found {
		t.Errorf("attempt %d was canceled", id)
	}
	if got, _ := a.lose(); !slices.Equal(got, []int64{1, 2}) { // the successor knows of no end
		t.Errorf("lost %v", got)
	}
	a.deploy(&weirpb.DeployTasks{Tasks: []*weirpb.TaskDescriptor{{Attempt: 3}}}, 2)
	a.wanted(&weirpb.JobMasterHeartbeat{}, 3, now)
	if id, found := a.overdue(now); !found || id != 3 {
		t.Errorf("overdue: %d, %v", id, found)
	}
}
