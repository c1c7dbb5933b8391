// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
	"github.com/weir-stream/weir/stream"
)

// counting is a small job, for tests of one fault: it counts the events of each key and emits each count.
type counting struct {
	t     *testing.T
	in    input
	feed  *feed[event]
	traps *traps
	rows  *collect.Collector[result]
	// prefix tells the uids of two in one job apart.
	prefix stream.UID
}

func newCounting(t *testing.T) *counting {
	t.Helper()
	c := &counting{t: t, in: input{seed: 5}, traps: newTraps(), rows: collect.New[result]()}
	c.feed = newFeed(c.in.event)
	return c
}

// tally is its state.
type tally struct{ Count int64 }

func (s *tally) add(ctx *stream.Ctx[int64], _ *event, out *stream.Out[result]) error {
	s.Count++
	out.Emit(result{Of: "tally", Key: ctx.Key(), N: s.Count})
	return nil
}

func (c *counting) build(env *stream.Env) error {
	env.From(c.prefix+"events", c.feed).
		MapE(func(e *event) (event, error) { return *e, c.traps.pass(inMap) }).Name(string(c.prefix)+"Map").
		KeyBy((*event).key).Process(c.prefix+"tally", (*tally).add).
		To(c.prefix+"out", trapSink[result]{c.rows.Sink(), c.traps})
	return nil
}

// want is what it emits for the first n events.
func (c *counting) want(n int64) (all []result) {
	counts := map[int64]int64{}
	for i := range n {
		var e event
		c.in.event(i, &e)
		counts[e.Key]++
		all = append(all, result{Of: "tally", Key: e.Key, N: counts[e.Key]})
	}
	return all
}

// finish lets n events through in all and compares.
func (c *counting) finish(j *running, n int64) {
	c.t.Helper()
	c.feed.flow(n)
	c.feed.end()
	j.end("FINISHED")
	compare(c.t, c.rows.Rows(), c.want(n))
}

// TestRestartStrategies fails a task each time until the strategy gives up, or a number of times that it survives.
func TestRestartStrategies(t *testing.T) {
	for _, tc := range []struct {
		name     string
		restart  stream.Restart
		failures int
		// status is how the job ends, attempts how many there were.
		status   string
		attempts int
	}{
		{"none", stream.NoRestart(), 100, "FAILED", 1},
		{"fixed delay", stream.FixedDelay(3, time.Millisecond), 100, "FAILED", 4},
		{"fixed delay, enough", stream.FixedDelay(3, time.Millisecond), 3, "FINISHED", 4},
		{"failure rate", stream.FailureRate(2, time.Hour, time.Millisecond), 100, "FAILED", 3},
		{"failure rate, old ones count no more", stream.FailureRate(2, 2*time.Millisecond, 20*time.Millisecond), 6, "FINISHED", 7},
		{"exponential delay", stream.ExponentialDelay(10 * time.Millisecond), 5, "FINISHED", 6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newCounting(t)
			r := newRig(t, setting{restart: &tc.restart})
			c.traps.arm(inMap, tc.failures, nil)
			c.feed.flow(1)
			j := r.start(c.build, embedded.RunOptions{})
			if tc.status == "FINISHED" {
				c.finish(j, 100)
			} else if e := j.end(tc.status); !contains(e.Error, errTrap.Error(), "Map") {
				t.Errorf("the job failed because %q, want %q and the step", e.Error, errTrap)
			}
			d := j.status()
			if got := len(d.Failures) + map[string]int{"FINISHED": 1}[tc.status]; got != tc.attempts {
				t.Errorf("%d attempts, want %d: %v", got, tc.attempts, d.Failures)
			}
			for _, f := range d.Failures {
				if f.Kind != core.User {
					t.Errorf("failure %v is not the user's", f)
				}
			}
		})
	}
}

// TestOnlyTheFailedRegionRestarts has two pipelines without a connection in one job, and fails one of them.
func TestOnlyTheFailedRegionRestarts(t *testing.T) {
	a, b := newCounting(t), newCounting(t)
	b.prefix = "other "
	r := newRig(t, setting{
		parallelism: 2, managers: 2, restart: always(), checkpoints: stream.Checkpoints{Interval: 5 * time.Millisecond},
	})
	a.feed.flow(100)
	b.feed.flow(100)
	j := r.start(func(env *stream.Env) error { return errors.Join(a.build(env), b.build(env)) }, embedded.RunOptions{})
	j.completed(2)
	before := j.attempts()
	failed := a.traps.arm(inMap, 1, nil)
	a.feed.flow(200)
	<-failed
	eventually(t, "the job has restarted", func() bool {
		d := j.status()
		return len(d.Failures) > 0 && d.Status == core.JobRunning
	})
	after := j.attempts()
	for name, attempt := range before {
		own := !strings.Contains(name, "other ")
		if restarted := after[name] != attempt; restarted != own {
			t.Errorf("%s: attempt %d, before %d", name, after[name], attempt)
		}
	}
	b.feed.flow(300)
	b.feed.end()
	a.finish(j, 200)
	compare(t, b.rows.Rows(), b.want(300))
}

// attempts are the present ones, by subtask.
func (j *running) attempts() map[string]int64 {
	all := map[string]int64{}
	for _, v := range j.status().Vertices {
		for i, s := range v.Subtasks {
			all[fmt.Sprintf("%s (%d)", v.Name, i)] = s.Attempt
		}
	}
	return all
}
