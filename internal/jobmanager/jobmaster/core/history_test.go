// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// TestTimesOfAdoptedAttempts takes on an attempt whose TaskManager has a clock that is late: no state is shown before the one
// that it followed.
func TestTimesOfAdoptedAttempts(t *testing.T) {
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0) }
	deployed := &execution{entered: [Failed + 1]time.Time{Created: at(10), Scheduled: at(20), Deploying: at(30)}, number: 2}
	reported := timesOf(deployed)
	for state, seconds := range map[weirpb.TaskState]int64{
		weirpb.TaskState_TASK_STATE_INITIALIZING: 29, weirpb.TaskState_TASK_STATE_RUNNING: 31,
	} {
		reported = append(reported, &weirpb.StateTime{State: state, UnixMillis: at(seconds).UnixMilli()})
	}
	e := &execution{state: Running}
	e.recall(&weirpb.TaskStatus{Number: 2, Entered: reported}, at(100))
	want := [Failed + 1]time.Time{Created: at(10), Scheduled: at(20), Deploying: at(30), Initializing: at(30), Running: at(31)}
	if e.entered != want || e.number != 2 {
		t.Errorf("attempt %d entered its states at %v, want %v", e.number, e.entered, want)
	}
	unknown := &execution{state: Finished}
	unknown.recall(&weirpb.TaskStatus{}, at(100))
	if !unknown.entered[Finished].Equal(at(100)) {
		t.Errorf("an attempt of which nothing is told finished at %v", unknown.entered[Finished])
	}
}

// TestCountsOfEarlierJobMasters counts on from a checkpoint, but not the attempts of vertices of another graph.
func TestCountsOfEarlierJobMasters(t *testing.T) {
	g := bothWays(t, 2)
	g.Fingerprint = 7
	past := &checkpoint.Metadata{Fingerprint: 7, History: &checkpoint.History{Restarts: 5, Attempts: []int64{3, 4}}}
	m := NewMaster(Config{JobID: "j", Epoch: 2, Graph: g, Past: past}, time.Unix(0, 0))
	d := m.Details()
	if d.Restarts != 5 || d.Vertices[0].Subtasks[1].Number != 4 || d.Vertices[1].Subtasks[0].Number != 5 {
		t.Errorf("%d restarts, attempts %d and %d", d.Restarts, d.Vertices[0].Subtasks[1].Number, d.Vertices[1].Subtasks[0].Number)
	}
	h := &checkpoint.History{Total: 1}
	m.history(h)
	if h.Restarts != 5 || len(h.Attempts) != 2 || h.Attempts[0] != 4 || h.Attempts[1] != 5 {
		t.Errorf("the next checkpoint tells %+v", h)
	}
	past.Fingerprint = 8
	d = NewMaster(Config{JobID: "j", Epoch: 2, Graph: g, Past: past}, time.Unix(0, 0)).Details()
	if d.Restarts != 5 || d.Vertices[0].Subtasks[0].Number != 0 {
		t.Errorf("with another graph: %d restarts, attempt %d", d.Restarts, d.Vertices[0].Subtasks[0].Number)
	}
}
