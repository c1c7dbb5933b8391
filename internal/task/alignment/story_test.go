// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package alignment_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/task/alignment"
)

// TestStories runs the scripts in testdata; go test -rewrite writes what they print.
//
//	new channels=N             a task with that many channels
//	LINES of
//	  CHANNEL barrier ID [at-least-once]
//	  CHANNEL end
//	  trigger ID | abort ID | announce ID
//
// Each line takes a millisecond and prints what is to be done.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var a *alignment.Aligner
		now := time.Unix(0, 0)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "new" {
				var channels int
				d.ScanArgs(t, "channels", &channels)
				a = alignment.New(channels)
				return ""
			}
			var out strings.Builder
			for line := range strings.Lines(d.Input) {
				now = now.Add(time.Millisecond)
				line = strings.TrimSpace(line)
				fmt.Fprintf(&out, "%s: %s\n", line, play(t, a, line, now))
			}
			return out.String()
		})
	})
}

func play(t *testing.T, a *alignment.Aligner, line string, now time.Time) string {
	t.Helper()
	var channel int
	var id int64
	var flags string
	switch {
	case scan(line, "%d barrier %d %s", &channel, &id, &flags):
		return show(a.Barrier(channel, element.CheckpointBarrier{ID: id, Flags: element.AtLeastOnce}, now))
	case scan(line, "%d barrier %d", &channel, &id):
		return show(a.Barrier(channel, element.CheckpointBarrier{ID: id}, now))
	case scan(line, "%d end", &channel) && strings.HasSuffix(line, "end"):
		return show(a.End(channel, now))
	case scan(line, "trigger %d", &id):
		return show(a.Trigger(element.CheckpointBarrier{ID: id}, now))
	case scan(line, "abort %d", &id):
		return show(a.Abort(id))
	case scan(line, "announce %d", &id):
		a.Announce(id, now)
		return "-"
	}
	t.Fatalf("what is %q?", line)
	return ""
}

func scan(line, format string, into ...any) bool {
	n, err := fmt.Sscanf(line, format, into...)
	return err == nil && n == len(into)
}

func show(d alignment.Decision) string {
	var parts []string
	for _, id := range d.Canceled {
		parts = append(parts, fmt.Sprint("decline ", id))
	}
	if d.Unblock {
		parts = append(parts, "unblock all")
	}
	if d.Block {
		parts = append(parts, "block")
	}
	for _, c := range d.Complete {
		parts = append(parts, fmt.Sprintf("take %d after %v", c.Barrier.ID, c.Align))
	}
	if parts == nil {
		return "-"
	}
	return strings.Join(parts, ", ")
}
