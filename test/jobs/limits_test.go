// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
	"github.com/weir-stream/weir/window"
)

// TestSlowSinkHoldsTheSource lets a sink stand still under a source that could go on: the source stops soon, what is
// under way is bounded by credits, and nothing is lost when the sink goes on.
func TestSlowSinkHoldsTheSource(t *testing.T) {
	// A batch has feedRows rows at the most here; each channel holds a few of them.
	const inFlightMax = 20_000
	for _, network := range []string{"local", "tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			c := newCounting(t)
			r := newRig(t, setting{parallelism: 2, managers: 2, network: network})
			release := make(chan struct{})
			free := func() error {
				<-release
				return nil
			}
			// Every writer stops at its first batch; the second trap is armed when the first has sprung.
			stopped := c.traps.arm(writing, 2, free)
			c.feed.flow(1_000_000)
			j := r.start(c.build, embedded.RunOptions{})
			eventually(t, "the sinks stand still", func() bool { return closed(stopped) })
			var polled int64
			still := 0
			eventually(t, "the source stands still", func() bool {
				if n := c.feed.polled.Load(); n != polled {
					polled, still = n, 0
				}
				still++
				return still > 100
			})
			if polled == 0 || polled > inFlightMax {
				t.Errorf("%d records are under way, want at most %d", polled, inFlightMax)
			}
			eventually(t, "backpressure shows", func() bool {
				m := j.status().Vertices[0].Subtasks[0].Metrics
				return m.GetBackpressuredNanos() > int64(10*time.Millisecond)
			})
			close(release)
			eventually(t, "the source goes on", func() bool { return c.feed.polled.Load() > polled+inFlightMax })
			j.Cancel()
			j.end("CANCELED")
		})
	}
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// TestManyOpenWindowsAndAJumpInTime opens ten thousand windows beside a hot key, then moves event time on by a year.
func TestManyOpenWindowsAndAJumpInTime(t *testing.T) {
	const (
		open = 10_000
		rows = 3 * open
		year = 365 * 24 * time.Hour
	)
	// A third of the records have a key each, the rest share one; the last one is a year later.
	fill := func(i int64, e *event) {
		e.Seq = i
		if i%3 == 0 {
			e.Key = 1 + i/3
		}
		if i == rows-1 {
			e.At = year.Milliseconds()
		}
	}
	build := func(sink collect.Sink[result]) func(*stream.Env) error {
		return func(env *stream.Env) error {
			env.From("events", generator.New(fill).Limit(rows)).
				Watermarks(watermark.BoundedOutOfOrderness(0, (*event).time)).
				KeyBy((*event).key).Window(window.Sliding(time.Hour, 30*time.Minute)).
				AggregateProcess("windows", aggregate.Count[event](), func(ctx *stream.WindowCtx[int64], n *int64, out *stream.Out[result]) error {
					out.Emit(result{Key: ctx.Key(), At: ctx.Window().Start.UnixMilli(), N: *n})
					return nil
				}).To("out", sink)
			return nil
		}
	}
	var want []result
	half := (30 * time.Minute).Milliseconds()
	for _, at := range []int64{-half, 0} {
		for key := range int64(open) {
			want = append(want, result{Key: key + 1, At: at, N: 1})
		}
		want = append(want, result{At: at, N: 2*open - 1})
		want = append(want, result{At: year.Milliseconds() + at, N: 1})
	}
	for _, parallelism := range []int{1, 3} {
		t.Run(fmt.Sprintf("parallelism %d", parallelism), func(t *testing.T) {
			t.Parallel()
			got := collect.New[result]()
			r := newRig(t, setting{parallelism: parallelism, checkpoints: stream.Checkpoints{Interval: 10 * time.Millisecond}})
			r.start(build(got.Sink()), embedded.RunOptions{}).end("FINISHED")
			compare(t, got.Rows(), want)
		})
	}
}

// TestCancelWhileAMillionKeysFire cancels a job in the middle of a window that fires for a million keys into a sink that
// takes none of them: the firing waits for credit, and ends with the attempt.
func TestCancelWhileAMillionKeysFire(t *testing.T) {
	t.Parallel()
	const rows = 1_000_000
	var taken atomic.Int64
	// Whose task does not end within cancelTimeout fails the job.
	r := newRig(t, setting{network: "tcp", managers: 2, parallelism: 2, unchained: true, cancelTimeout: 10 * time.Second})
	j := r.start(func(env *stream.Env) error {
		env.From("events", generator.New(func(i int64, e *event) { e.Key = i }).Limit(rows)).
			Watermarks(watermark.Ascending((*event).time)).
			KeyBy((*event).key).Window(window.Tumbling(time.Hour)).
			Aggregate("windows", aggregate.Count[event]()).
			To("out", connector.Each(func(ctx context.Context, _ *int64) error {
				taken.Add(1)
				<-ctx.Done()
				return context.Cause(ctx)
			}))
		return nil
	}, embedded.RunOptions{})
	eventually(t, "the firing waits for credit", func() bool {
		for _, s := range j.status().Vertices[1].Subtasks {
			if s.Metrics.GetBackpressuredNanos() == 0 {
				return false
			}
		}
		return taken.Load() > 0
	})
	j.Cancel()
	j.end("CANCELED")
	if n := taken.Load(); n > 2 {
		t.Errorf("%d rows were taken by 2 sinks that hold the first", n)
	}
}

// TestFunctionThatNeverReturns fails another task while a user function blocks for good: the job fails within the time
// for cancellation and says what is left behind, and nothing starts beside it.
func TestFunctionThatNeverReturns(t *testing.T) {
	c := newCounting(t)
	const timeout = 300 * time.Millisecond
	r := newRig(t, setting{restart: always(), cancelTimeout: timeout, leavesBehind: true})
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	held := c.traps.arm(inMap, 1, func() error {
		<-release
		return nil
	})
	c.feed.flow(10)
	j := r.start(c.build, embedded.RunOptions{})
	<-held
	began := time.Now()
	c.fail(j, "out")
	if e := j.end("FAILED"); !contains(e.Error, "left behind", "Map") {
		t.Errorf("the job failed because %q", e.Error)
	}
	if took := time.Since(began); took < timeout || took > timeout+5*time.Second {
		t.Errorf("the job failed after %v, want %v", took, timeout)
	}
}

// fail fails the first subtask of the vertex with a step of that uid.
func (c *counting) fail(j *running, uid string) {
	c.t.Helper()
	for _, v := range j.graph.Vertices {
		for _, n := range v.Nodes {
			if n.UID == uid {
				eventually(c.t, "a task to fail", func() bool {
					return j.rig.FailTask(c.t.Context(), j.ID(), subtask(v), errInjected)
				})
				return
			}
		}
	}
	c.t.Fatalf("no step has the uid %q", uid)
}

// TestNotEnoughSlots asks for more than there are, at the start and when a TaskManager doesn't come back.
func TestNotEnoughSlots(t *testing.T) {
	c := newCounting(t)
	s := setting{parallelism: 2, managers: 2, restart: always(), slotTimeout: 200 * time.Millisecond, losesManagers: true}
	r := newRig(t, s)
	r.setting.parallelism = 3
	_, err := r.Submit(t.Context(), r.graph(c.build, embedded.RunOptions{}), embedded.RunOptions{})
	if err == nil || !contains(err.Error(), "3 slots", "has 2", "lower the parallelism") {
		t.Errorf("error %v", err)
	}
	r.setting.parallelism = 2
	j := r.start(c.build, embedded.RunOptions{})
	c.feed.flow(10)
	eventually(t, "rows flow", func() bool { return c.feed.polled.Load() > 0 })
	if err := r.KillTaskManager(1); err != nil {
		t.Fatal(err)
	}
	if e := j.end("FAILED"); !contains(e.Error, "1 of the 2 slots", "start more TaskManagers") {
		t.Errorf("the job failed because %q", e.Error)
	}
}

// TestSinkOfAFunction sees each record at least once, and without failures once.
func TestSinkOfAFunction(t *testing.T) {
	c := newCounting(t)
	var seen atomic.Int64
	r := newRig(t, setting{parallelism: 3, checkpoints: stream.Checkpoints{Interval: time.Millisecond, AtLeastOnce: true}})
	j := r.start(func(env *stream.Env) error {
		env.From("events", c.feed).To("out", connector.Each(func(context.Context, *event) error {
			seen.Add(1)
			return nil
		}))
		return nil
	}, embedded.RunOptions{})
	c.feed.flow(5000)
	c.feed.end()
	j.end("FINISHED")
	if seen.Load() != 5000 {
		t.Errorf("%d records, want 5000", seen.Load())
	}
}
