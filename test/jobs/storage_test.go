// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/stream"
)

// TestFullDisk fills the disk of checkpoints and frees it again. Where failed checkpoints are tolerated no task notices;
// where they are not the job restarts by its strategy. Either way it says why, and loses nothing.
func TestFullDisk(t *testing.T) {
	for _, tc := range []struct {
		name      string
		tolerable int
		restarts  bool
	}{{"tolerated", 1 << 20, false}, {"not tolerated", 1, true}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newLive(t, 3)
			c.begin(setting{
				parallelism: 2, managers: 1, restart: always(),
				checkpoints: stream.Checkpoints{Interval: 5 * time.Millisecond, TolerableFailures: tc.tolerable},
			}, embedded.RunOptions{})
			c.until("a checkpoint", func() bool { return c.job.status().Checkpoints.Counts.Completed > 1 })
			c.disk.Limit(100)
			before := c.job.status().Checkpoints.Counts.Failed
			c.until("checkpoints fail", func() bool { return c.job.status().Checkpoints.Counts.Failed > before+3 })
			d := c.job.status()
			if !strings.Contains(d.Checkpoints.LatestFailed.Failure, "no space left") {
				t.Errorf("checkpoint %d failed because %q", d.Checkpoints.LatestFailed.ID, d.Checkpoints.LatestFailed.Failure)
			}
			if restarted := len(d.Failures) > 0; restarted != tc.restarts {
				t.Errorf("failures %v, want some: %v", d.Failures, tc.restarts)
			}
			for _, f := range d.Failures {
				if !strings.Contains(f.Text, "no space left") && !strings.Contains(f.Text, "failed in a row") {
					t.Errorf("the job failed because %q", f.Text)
				}
			}
			c.disk.Limit(-1)
			done := c.job.status().Checkpoints.Counts.Completed
			c.until("checkpoints complete again", func() bool { return c.job.status().Checkpoints.Counts.Completed > done+1 })
			c.finish()
		})
	}
}

// TestStalledDisk stops a write of a state file for as long as the test wants, with buffers that hold far less than the
// state. The job goes on meanwhile; the checkpoint that waits completes when the disk goes on, or fails by its timeout. Nothing
// is lost.
func TestStalledDisk(t *testing.T) {
	for name, end := range map[string]func(c *live, release func()){
		"goes on": func(c *live, release func()) {
			before := c.job.status().Checkpoints.Counts
			release()
			c.until("the checkpoint completes", func() bool { return c.job.status().Checkpoints.Counts.Completed > before.Completed })
			if after := c.job.status().Checkpoints.Counts; after.Failed != before.Failed {
				t.Errorf("%d checkpoints failed", after.Failed)
			}
			c.finish()
		},
		"times out": func(c *live, release func()) {
			before := c.job.status().Checkpoints.Counts
			c.until("the checkpoint times out", func() bool { return c.job.status().Checkpoints.Counts.Failed > before.Failed })
			release()
			c.until("a later checkpoint completes", func() bool { return c.job.status().Checkpoints.Counts.Completed > before.Completed })
			c.finish()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := time.Minute
			if name == "times out" {
				timeout = 100 * time.Millisecond
			}
			c := newLive(t, 5)
			c.begin(setting{
				parallelism: 2, managers: 1, bufferBytes: 1 << 10,
				checkpoints: stream.Checkpoints{Interval: 5 * time.Millisecond, Timeout: timeout, TolerableFailures: 1 << 20},
			}, embedded.RunOptions{})
			c.until("a checkpoint", func() bool { return c.job.status().Checkpoints.Counts.Completed > 1 })
			hold := make(chan struct{})
			release := sync.OnceFunc(func() { close(hold) })
			t.Cleanup(release)
			c.untilClosed("a write stops", c.traps.arm(stateWrite, 1, func() error { <-hold; return nil }))
			read := c.job.recordsIn()
			c.until("records flow", func() bool { return c.job.recordsIn() > read+100 })
			end(c, release)
			if d := c.job.status(); len(d.Failures) > 0 {
				t.Errorf("failures %v", d.Failures)
			}
		})
	}
}

// TestUnwritableDirectory starts a job whose checkpoints can't be kept: it is refused with the reason.
func TestUnwritableDirectory(t *testing.T) {
	c := newLive(t, 3)
	c.disk.Limit(0)
	r := newRig(t, setting{fs: c.fs, dir: "/checkpoints"})
	_, err := r.Submit(t.Context(), r.graph(c.build, embedded.RunOptions{}), embedded.RunOptions{})
	if err == nil || !strings.Contains(err.Error(), "/checkpoints") || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("error %v, want the directory and the reason", err)
	}
}
