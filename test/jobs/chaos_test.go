// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/connector/file"
	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
)

// chaos is a job whose input flows as long as the test breaks it.
type chaos struct {
	t      *testing.T
	rng    *rand.Rand
	rig    *rig
	job    *running
	traps  *traps
	in     input
	events *feed[event]
	quotes *feed[quote]
	rows   *collect.Collector[result]
	// out is the directory of the file sink.
	out string
}

// newChaos starts the job of a seed.
func newChaos(t *testing.T, seed uint64) *chaos {
	rng := rand.New(rand.NewPCG(seed, 2))
	c := &chaos{
		t: t, rng: rng, traps: newTraps(), in: input{seed: seed}, rows: collect.New[result](), out: t.TempDir(),
	}
	c.events, c.quotes = newFeed(c.in.event), newFeed(c.in.quote)
	s := anySetting(rng)
	s.checkpoints = stream.Checkpoints{
		Interval: pick(rng, time.Millisecond, 5*time.Millisecond, 20*time.Millisecond), Concurrent: pick(rng, 1, 1, 3),
		TolerableFailures: pick(rng, 0, 3), Retained: pick(rng, 1, 2),
	}
	_, s.fs = c.traps.disk()
	s.dir, s.inlineBytes = "/checkpoints", -1
	restart := stream.FixedDelay(1000, time.Millisecond)
	s.restart = &restart
	t.Logf("-jobs.seed=%d: %v, %+v", seed, s, s.checkpoints)
	c.rig = newRig(t, s)
	c.job = c.rig.start(c.build, embedded.RunOptions{})
	return c
}

func (c *chaos) build(env *stream.Env) error {
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
func (c *chaos) flow(n int64) {
	c.events.flow(c.events.edge() + n)
	c.quotes.flow(quotesOf(c.events.edge()))
}

// until lets records flow until the condition holds.
func (c *chaos) until(what string, holds func() bool) {
	c.t.Helper()
	eventually(c.t, what, func() bool {
		c.flow(2)
		return holds()
	})
}

func (c *chaos) untilClosed(what string, ch <-chan struct{}) {
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
func (c *chaos) finish() {
	c.t.Helper()
	c.traps.disarm()
	c.in.events = c.events.end()
	c.quotes.end()
	c.job.end("FINISHED")
	c.verify()
}

func (c *chaos) verify() {
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

// anySubtask draws one of the job.
func (c *chaos) anySubtask() graph.SubtaskID {
	v := c.job.graph.Vertices[c.rng.IntN(len(c.job.graph.Vertices))]
	return graph.SubtaskID{Vertex: v.Index, Subtask: c.rng.IntN(v.Parallelism)}
}

// failTask fails a task, one that runs.
func (c *chaos) failTask() {
	c.until("a task to fail", func() bool {
		s := c.anySubtask()
		failed := c.rig.FailTask(c.t.Context(), c.job.ID(), s, errors.New("failed by the test"))
		if failed {
			c.rig.journal.note("subtask %d of %s failed", s.Subtask, c.job.graph.Vertices[s.Vertex].Name)
		}
		return failed
	})
}

// failManager kills a TaskManager and starts it again.
func (c *chaos) failManager() {
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
func (c *chaos) spring(m moment, times int, how func() error) {
	c.rig.journal.note("%d times %s", times, m)
	c.untilClosed(string(m), c.traps.arm(m, times, how))
}

// failWhileAligning holds a task up, so that a checkpoint can't get past it, and fails another meanwhile.
func (c *chaos) failWhileAligning() {
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
func (c *chaos) failWhileRestoring() {
	c.until("a checkpoint to restore", func() bool { return c.job.status().Checkpoints.Counts.Completed > 0 })
	read := c.traps.arm(pick(c.rng, stateRead, opening), 1, nil)
	c.failTask()
	c.untilClosed("a restore to fail", read)
}

// strike does one thing that a job must survive.
func (c *chaos) strike() {
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
			c := newChaos(t, seed)
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
