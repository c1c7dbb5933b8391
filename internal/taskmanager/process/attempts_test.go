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
	// The end of 3 is known; that of 2, which has ended too, is not.
	a.report(&weirpb.TaskStatus{Attempt: 1, State: weirpb.TaskState_TASK_STATE_FINISHED}, now)
	a.wanted(&weirpb.JobMasterHeartbeat{Attempts: []int64{1}}, 8, now)
	if got := a.lose(); !slices.Equal(got, []int64{1, 2, 4}) {
		t.Errorf("lost %v", got)
	}
	if got := a.lose(); len(got) > 0 {
		t.Errorf("lost twice: %v", got)
	}
}
