// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
	"github.com/weir-stream/weir/stream"
)

// TestCheckpointTimesOut holds a sink for longer than a checkpoint may take. Where failed checkpoints are tolerated the job
// runs on, where they are not it restarts by its strategy, once the sink lets its task end. Either way it says which task
// was waited for, later checkpoints complete, and nothing is lost or doubled.
func TestCheckpointTimesOut(t *testing.T) {
	const timeout = 50 * time.Millisecond
	for _, tc := range []struct {
		name      string
		tolerable int
		restarts  bool
	}{{"tolerated", 1 << 20, false}, {"not tolerated", 0, true}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newLive(t, 16)
			c.begin(setting{
				parallelism: 2, managers: 1, restart: always(),
				checkpoints: stream.Checkpoints{
					Interval: 5 * time.Millisecond, Timeout: timeout, TolerableFailures: tc.tolerable,
				},
			}, embedded.RunOptions{})
			c.until("a checkpoint", func() bool { return c.job.status().Checkpoints.Counts.Completed > 0 })

			hold := make(chan struct{})
			release := sync.OnceFunc(func() { close(hold) })
			t.Cleanup(release)
			held := c.traps.arm(writing, 1, func() error { <-hold; return nil })
			c.untilClosed("the sink holds", held)
			before := c.job.status().Checkpoints.Counts
			failed := func(d details) bool {
				return slices.ContainsFunc(d.Failures, func(f core.Failure) bool { return strings.Contains(f.Text, "in a row") })
			}
			eventually(t, "a checkpoint times out", func() bool {
				d := c.job.status()
				return d.Checkpoints.Counts.Failed > before.Failed && (!tc.restarts || failed(d))
			})
			d := c.job.status()
			if why := d.Checkpoints.LatestFailed.Failure; !strings.Contains(why, "not complete after "+timeout.String()) {
				t.Errorf("checkpoint %d failed because %q", d.Checkpoints.LatestFailed.ID, why)
			}
			release()
			c.until("a later checkpoint completes", func() bool {
				return c.job.status().Checkpoints.Counts.Completed > before.Completed+1
			})
			if d := c.job.status(); failed(d) != tc.restarts {
				t.Errorf("failures %v; checkpoints fail the job: want %t", d.Failures, tc.restarts)
			}
			c.finish()
		})
	}
}
