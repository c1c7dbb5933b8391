// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/internal/jobmanager/launch"
	"github.com/weir-stream/weir/stream"
)

// TestCorruptCheckpointIsRefused damages the newest checkpoint between the death of one process and the start of the next,
// which goes on from the one before. The last two hold the same rows, so that the output can still be exact.
func TestCorruptCheckpointIsRefused(t *testing.T) {
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	cut := func(b []byte) []byte { return b[:len(b)/2] }
	for _, tc := range []struct {
		name, file string
		damage     func([]byte) []byte
	}{
		{"metadata flipped", "/chk/%020d.meta", flip},
		{"metadata cut", "/chk/%020d.meta", cut},
		{"state flipped", "/state/%020d-", flip},
		{"state cut", "/state/%020d-", cut},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newLive(t, 7)
			s := setting{
				parallelism: 2, managers: 2, restart: always(),
				checkpoints: stream.Checkpoints{Interval: 5 * time.Millisecond, Retained: 2},
			}
			c.begin(s, embedded.RunOptions{})
			c.flow(400)
			c.atRest()
			if err := c.rig.Close(); err != nil {
				t.Fatal(err)
			}
			newest := c.job.status().Checkpoints.LatestCompleted.ID
			part := fmt.Sprintf(tc.file, newest)
			damaged := 0
			for name := range c.disk.Tree() {
				if strings.Contains(name, part) {
					damaged++
					if err := c.disk.Damage(name, tc.damage); err != nil {
						t.Fatal(err)
					}
				}
			}
			if damaged == 0 {
				t.Fatalf("checkpoint %d has no file %s", newest, part)
			}
			c.begin(s, embedded.RunOptions{Restore: launch.Latest})
			eventually(t, "the job is restored", func() bool { return c.job.status().Checkpoints.LatestRestored != nil })
			if restored := c.job.status().Checkpoints.LatestRestored; restored.ID >= newest {
				t.Errorf("restored %d, want one before %d", restored.ID, newest)
			}
			for _, want := range []string{part, "corrupt"} {
				if !strings.Contains(c.rig.journal.text(), want) {
					t.Errorf("the log lacks %q", want)
				}
			}
			c.flow(400)
			c.finish()
		})
	}
}

// atRest waits until all that flowed is in the last two checkpoints, and committed.
func (c *live) atRest() {
	c.t.Helper()
	want := c.events.edge()
	eventually(c.t, "all rows are read", func() bool { return c.events.polled.Load() >= want })
	rows, since := -1, int64(0)
	eventually(c.t, "nothing new is committed", func() bool {
		d := c.job.status()
		if n := len(c.rows.Rows()); n != rows {
			rows, since = n, d.Checkpoints.Counts.Completed
		}
		return rows > 0 && d.Checkpoints.Counts.Completed >= since+6
	})
}
