// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/connector/file"
	"github.com/weir-stream/weir/internal/checkpoint/storage/faultfs"
	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
)

// live is a job over the whole pipeline whose input flows as long as the test wants.
type live struct {
	t      *testing.T
	rng    *rand.Rand
	rig    *rig
	job    *running
	traps  *traps
	in     input
	events *feed[event]
	quotes *feed[quote]
	rows   *collect.Collector[result]
	disk   *faultfs.Disk
	fs     *faultfs.FS
	// out is the directory of the file sink.
	out string
}

// newLive makes a job of a seed, on a disk in memory; begin starts it.
func newLive(t *testing.T, seed uint64) *live {
	t.Helper()
	c := &live{
		t: t, rng: rand.New(rand.NewPCG(seed, 2)), traps: newTraps(), in: input{seed: seed},
		rows: collect.New[result](), out: t.TempDir(),
	}
	c.disk, c.fs = c.traps.disk()
	c.events, c.quotes = newFeed(c.in.event), newFeed(c.in.quote)
	return c
}

// begin starts the job on a cluster of its own.
func (c *live) begin(s setting, o embedded.RunOptions) {
	c.t.Helper()
	s.fs, s.dir, s.inlineBytes = c.fs, "/checkpoints", -1
	s.losesManagers = true
	c.rig = newRig(c.t, s)
	c.job = c.rig.start(c.build, o)
}

func (c *live) build(env *stream.Env) error {
	const bound = disorder * time.Millisecond
	events := env.From("events", c.events).Watermarks(watermark.BoundedOutOfOrderness(bound, (*event).time))
	quotes := env.From("quotes", c.quotes).Watermarks(watermark.BoundedOutOfOrderness(bound, (*quote).time))
	results := pipeline(events, quotes, c.traps.hooks())
	results.To("out", trapSink[result]{c.rows.Sink(), c.traps})
	results.Map(func(r *result) string { return r.line() }).To("files", file.LinesSink(c.out))
	return nil
}

func (r *result) line() string {
	return fmt.Sprintf("%s|%d|%d|%d|%d|%s", r.Of, r.Key, r.At, r.N, r.Sum, r.Text)
}

// flow lets a few more records in.
func (c *live) flow(n int64) {
	c.events.flow(c.events.edge() + n)
	c.quotes.flow(quotesOf(c.events.edge()))
}

// until lets records flow until the condition holds.
func (c *live) until(what string, holds func() bool) {
	c.t.Helper()
	eventually(c.t, what, func() bool {
		c.flow(2)
		return holds()
	})
}

func (c *live) untilClosed(what string, ch <-chan struct{}) {
	c.t.Helper()
	c.until(what, func() bool {
		select {
		case <-ch:
			return true
		default:
			return false
		}
	})
}

// finish ends the input and compares what was committed.
func (c *live) finish() {
	c.t.Helper()
	c.traps.disarm()
	c.in.events = c.events.end()
	c.quotes.end()
	c.job.end("FINISHED")
	c.verify()
}

func (c *live) verify() {
	c.t.Helper()
	want := reference(c.in)
	compare(c.t, c.rows.Rows(), want)
	lines := make([]string, len(want))
	for i := range want {
		lines[i] = want[i].line()
	}
	compare(c.t, readLines(c.t, c.out), lines)
}

// readLines reads all committed files below a directory.
func readLines(t *testing.T, dir string) (lines []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			return err
		}
		b, err := os.ReadFile(path)
		if text := strings.TrimSuffix(string(b), "\n"); text != "" {
			lines = append(lines, strings.Split(text, "\n")...)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
