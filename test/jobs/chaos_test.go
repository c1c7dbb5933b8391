// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"fmt"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
	"github.com/weir-stream/weir/stream"
)

// anySubtask draws one of the job.
func (c *live) anySubtask() graph.SubtaskID {
	v := c.job.graph.Vertices[c.rng.IntN(len(c.job.graph.Vertices))]
	return graph.SubtaskID{Vertex: v.Index, Subtask: c.rng.IntN(v.Parallelism)}
}

// failTask fails a task, one that runs.
func (c *live) failTask() {
	c.until("a task to fail", func() bool {
		s := c.anySubtask()
		failed := c.rig.FailTask(c.t.Context(), c.job.ID(), s, errInjected)
		if failed {
			c.rig.journal.note("subtask %d of %s failed", s.Subtask, c.job.graph.Vertices[s.Vertex].Name)
		}
		return failed
	})
}

// failManager kills a TaskManager and starts it again.
func (c *live) failManager() {
	i := c.rng.IntN(c.rig.setting.managers)
	c.rig.journal.note("TaskManager %d killed", i)
	if err := c.rig.KillTaskManager(i); err != nil {
		c.t.Fatal(err)
	}
	c.flow(50)
	if err := c.rig.StartTaskManager(i); err != nil {
		c.t.Fatal(err)
	}
}

// spring arms a trap and waits until it has sprung.
func (c *live) spring(m moment, times int, how func() error) {
	c.rig.journal.note("%d times %s", times, m)
	c.untilClosed(string(m), c.traps.arm(m, times, how))
}

// failWhileAligning holds a task up, so that a checkpoint can't get past it, and fails another meanwhile.
func (c *live) failWhileAligning() {
	c.rig.journal.note("a task fails while others align")
	release := make(chan struct{})
	defer close(release)
	held := c.traps.arm(pick(c.rng, inMap, inConnect), 1, func() error {
		<-release
		return nil
	})
	c.untilClosed("a task to be held", held)
	c.until("a checkpoint under way", func() bool {
		d := c.job.status()
		return d.Checkpoints.Counts.InProgress > 0 || d.Status != core.JobRunning // for an earlier failure: it waits too
	})
	c.failTask()
}

// failWhileRestoring fails a task and what it is restored from.
func (c *live) failWhileRestoring() {
	c.until("a checkpoint to restore", func() bool { return c.job.status().Checkpoints.Counts.Completed > 0 })
	read := c.traps.arm(pick(c.rng, stateRead, opening), 1, nil)
	c.failTask()
	c.untilClosed("a restore to fail", read)
}

// strike does one thing that a job must survive.
func (c *live) strike() {
	moments := []moment{
		inMap, inProcess, inConnect, writing, preparing, snapshot, committing, committed, stateWrite, stateSync,
		metaWrite, claiming, claimed,
	}
	switch c.rng.IntN(8) {
	case 0:
		c.failTask()
	case 1:
		c.failManager()
	case 2:
		c.failWhileAligning()
	case 3:
		c.failWhileRestoring()
	case 4:
		c.spring(pick(c.rng, inMap, inProcess, inConnect), 1, func() error { panic("by the test") })
	default:
		c.spring(moments[c.rng.IntN(len(moments))], 1+c.rng.IntN(2), nil)
	}
}

// TestNothingIsLostOrDoubled breaks jobs in many ways, one after the other, some before the last one has healed.
func TestNothingIsLostOrDoubled(t *testing.T) {
	runs, strikes := 8, 8
	if testing.Short() {
		runs, strikes = 2, 4
	}
	for _, seed := range seeds(runs) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			c := newLive(t, seed)
			s := anySetting(c.rng)
			s.checkpoints = stream.Checkpoints{
				Interval: pick(c.rng, time.Millisecond, 5*time.Millisecond, 20*time.Millisecond), Concurrent: pick(c.rng, 1, 1, 3),
				TolerableFailures: pick(c.rng, 0, 3), Retained: pick(c.rng, 1, 2),
			}
			s.restart = always()
			t.Logf("-jobs.seed=%d: %v, %+v", seed, s, s.checkpoints)
			c.begin(s, embedded.RunOptions{})
			for range strikes {
				c.strike()
				if c.rng.IntN(3) > 0 {
					done := c.job.status().Checkpoints.Counts.Completed
					c.until("a checkpoint", func() bool { return c.job.status().Checkpoints.Counts.Completed > done })
				}
			}
			c.finish()
		})
	}
}

// always restarts, soon.
func always() *stream.Restart {
	r := stream.FixedDelay(1000, time.Millisecond)
	return &r
}
