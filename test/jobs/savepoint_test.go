// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"fmt"
	"testing"
	"time"

	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
	"github.com/weir-stream/weir/state"
	"github.com/weir-stream/weir/stream"
)

// savepoints is a directory on the disk of a live job.
const savepoints = "/savepoints"

// TestSavepointIsNoCheckpoint takes savepoints of a running job: they commit nothing, and a later failure goes back to the
// last checkpoint, not to them.
func TestSavepointIsNoCheckpoint(t *testing.T) {
	c := newLive(t, 11)
	c.begin(setting{parallelism: 2, managers: 2, restart: always()}, embedded.RunOptions{})
	c.flow(500)
	eventually(t, "all rows are read", func() bool { return c.events.polled.Load() >= 500 })
	for range 2 {
		if _, err := c.job.Savepoint(t.Context(), savepoints); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.rows.Rows()); n != 0 {
		t.Errorf("%d rows are committed by a savepoint", n)
	}
	polled := c.events.polled.Load()
	c.failTask()
	eventually(t, "the rows are read again", func() bool { return c.events.polled.Load() >= polled+500 })
	if r := c.job.status().Checkpoints.LatestRestored; r != nil {
		t.Errorf("a failure without a checkpoint restored %+v", r)
	}
	c.finish()
}

// TestSavepointAmongCheckpoints takes savepoints while checkpoints are taken and tasks fail.
func TestSavepointAmongCheckpoints(t *testing.T) {
	c := newLive(t, 12)
	c.begin(setting{
		parallelism: 3, managers: 2, restart: always(), checkpoints: stream.Checkpoints{Interval: 2 * time.Millisecond},
	}, embedded.RunOptions{})
	var path string
	for range 4 {
		c.savepoint(&path)
		c.failTask()
	}
	c.savepoint(&path)
	c.finish()

	// A run of its own from the last one goes on from there: what it adds is what the first had not yet emitted then.
	again := newLive(t, 12)
	again.disk, again.fs, again.events, again.quotes = c.disk, c.fs, c.events, c.quotes
	again.begin(setting{parallelism: 2, managers: 1}, embedded.RunOptions{Restore: path})
	again.job.end("FINISHED")
	if r := again.job.status().Checkpoints.LatestRestored; r == nil || !r.Savepoint || r.Path != path {
		t.Errorf("restored %+v, want savepoint %s", r, path)
	}
	extra := map[result]int{}
	for _, r := range c.rows.Rows() {
		extra[r]++
	}
	for _, r := range again.rows.Rows() {
		if extra[r]--; extra[r] < 0 {
			t.Errorf("the run from the savepoint emits %+v, the first did not", r)
			break
		}
	}
}

// savepoint takes one as soon as the job runs, whatever it was busy with.
func (c *live) savepoint(path *string) {
	c.t.Helper()
	c.until("a savepoint", func() bool {
		p, err := c.job.Savepoint(c.t.Context(), savepoints)
		if err == nil {
			*path = p
		}
		return err == nil
	})
}

// TestStopWithSavepoint stops a job and goes on with a run of its own at another parallelism: together they commit what one
// run would.
func TestStopWithSavepoint(t *testing.T) {
	for _, to := range []int{1, 2, 3, 5} {
		t.Run(fmt.Sprintf("3 to %d", to), func(t *testing.T) {
			t.Parallel()
			c := newLive(t, 13)
			s := setting{parallelism: 3, managers: 1, checkpoints: stream.Checkpoints{Interval: 5 * time.Millisecond}}
			c.begin(s, embedded.RunOptions{})
			c.until("a checkpoint", func() bool { return c.job.status().Checkpoints.Counts.Completed > 2 })
			path := c.stop(false)
			s.parallelism, s.unchained = to, true
			c.begin(s, embedded.RunOptions{Restore: path})
			c.until("a checkpoint", func() bool { return c.job.status().Checkpoints.Counts.Completed > 2 })
			c.finish()
		})
	}
}

// stop stops the job with a savepoint.
func (c *live) stop(drain bool) (path string) {
	c.t.Helper()
	path, err := c.job.StopWithSavepoint(c.t.Context(), savepoints, drain)
	if err != nil {
		c.t.Fatal(err)
	}
	if e := c.job.end("FINISHED"); e.Savepoint != path {
		c.t.Errorf("the job ended with savepoint %q, want %q", e.Savepoint, path)
	}
	return path
}

// TestDrain stops a job in the middle of its input with the end of time: all windows and timers fire for what was read.
func TestDrain(t *testing.T) {
	c := newLive(t, 14)
	c.begin(setting{parallelism: 2, managers: 2, checkpoints: stream.Checkpoints{Interval: 5 * time.Millisecond}}, embedded.RunOptions{})
	c.flow(777)
	c.in.events = c.events.edge()
	eventually(t, "all rows are read", func() bool {
		return c.events.polled.Load() >= c.in.events && c.quotes.polled.Load() >= quotesOf(c.in.events)
	})
	c.stop(true)
	c.verify()
}

// The state of a step through three versions of a program: a field goes, others come.
type (
	purse1 struct {
		Sum  int64
		Last string
		Seen state.Map[string, int64]
	}
	purse2 struct {
		Sum    int64
		Seen   state.Map[string, int64]
		Recent state.List[int64]
		Most   int64
	}
	// purse3 gives a field that is stored as a number another type.
	purse3 struct{ Sum string }
)

func (s *purse1) add(ctx *stream.Ctx[int64], in *event, out *stream.Out[result]) error {
	s.Sum += in.Amount
	s.Last = in.Word
	*s.Seen.At(in.Word)++
	out.Emit(result{Key: ctx.Key(), N: int64(s.Seen.Len()), Sum: s.Sum})
	return nil
}

func (s *purse2) add(ctx *stream.Ctx[int64], in *event, out *stream.Out[result]) error {
	s.Sum += in.Amount
	*s.Seen.At(in.Word)++
	s.Recent.Append(in.Amount)
	s.Most = max(s.Most, in.Amount)
	out.Emit(result{Key: ctx.Key(), N: int64(s.Seen.Len()), Sum: s.Sum})
	return nil
}

func (s *purse3) add(*stream.Ctx[int64], *event, *stream.Out[result]) error { return nil }

// purses are the versions of the program. All but the first have a step before the one with the state.
func (c *counting) purses(version int) func(*stream.Env) error {
	return func(env *stream.Env) error {
		events := env.From("events", c.feed)
		if version > 1 {
			events = events.Filter(func(*event) bool { return true })
			events.KeyBy((*event).key).Process("new", (*tally).add).To("counts", collect.New[result]().Sink())
		}
		keyed := events.KeyBy((*event).key)
		var out stream.Stream[result]
		switch version {
		case 1:
			out = keyed.Process("purse", (*purse1).add)
		case 2:
			out = keyed.Process("purse", (*purse2).add)
		case 3:
			out = keyed.Process("purse", (*purse3).add)
		case 4: // the step is gone
			out = events.Map(func(e *event) result { return result{Of: "plain", N: e.Seq} })
		}
		out.To("out", c.rows.Sink())
		return nil
	}
}

// pursesWant is what the first two versions emit for the first n events.
func (c *counting) pursesWant(n int64) (all []result) {
	sums, seen := map[int64]int64{}, map[int64]map[string]bool{}
	for i := range n {
		var e event
		c.in.event(i, &e)
		if seen[e.Key] == nil {
			seen[e.Key] = map[string]bool{}
		}
		sums[e.Key] += e.Amount
		seen[e.Key][e.Word] = true
		all = append(all, result{Key: e.Key, N: int64(len(seen[e.Key])), Sum: sums[e.Key]})
	}
	return all
}

// TestRestoreIntoAChangedProgram stops one version of a program and starts others from its savepoint.
func TestRestoreIntoAChangedProgram(t *testing.T) {
	c := newCounting(t)
	c.feed.lanes = 1 // the rows of a key come in order
	_, fs := c.traps.disk()
	r := newRig(t, setting{parallelism: 3, fs: fs, dir: "/checkpoints", inlineBytes: -1})
	j := r.start(c.purses(1), embedded.RunOptions{})
	c.feed.flow(300)
	eventually(t, "all rows are read", func() bool { return c.feed.polled.Load() >= 300 })
	path, err := j.StopWithSavepoint(t.Context(), savepoints, false)
	if err != nil {
		t.Fatal(err)
	}
	j.end("FINISHED")
	compare(t, c.rows.Rows(), c.pursesWant(300))

	from := embedded.RunOptions{Restore: path}
	refused := func(version int, o embedded.RunOptions, want ...string) {
		t.Helper()
		_, err := r.Submit(t.Context(), r.graph(c.purses(version), o), o)
		if err == nil || !contains(err.Error(), want...) {
			t.Errorf("version %d from the savepoint: %v, want %q", version, err, want)
		}
	}
	refused(3, from, "purse", "Sum")
	refused(4, from, `uid "purse"`, "no such step", "--allow-non-restored-state")
	refused(3, embedded.RunOptions{Restore: path, AllowNonRestoredState: true}, "purse", "Sum")

	r.setting.parallelism = 2
	j = r.start(c.purses(2), from)
	c.feed.flow(700)
	c.feed.end()
	j.end("FINISHED")
	compare(t, c.rows.Rows(), c.pursesWant(700))

	c.rows.Take()
	j = r.start(c.purses(4), embedded.RunOptions{Restore: path, AllowNonRestoredState: true})
	j.end("FINISHED")
	var want []result
	for i := range int64(400) {
		want = append(want, result{Of: "plain", N: 300 + i})
	}
	compare(t, c.rows.Rows(), want)
}

// TestSuspendAndContinue ends a process in good order and in bad, several times: the run goes on with the next.
func TestSuspendAndContinue(t *testing.T) {
	c := newLive(t, 15)
	s := setting{parallelism: 2, managers: 2, restart: always(), checkpoints: stream.Checkpoints{Interval: 3 * time.Millisecond}}
	o := embedded.RunOptions{}
	var id string
	for i := range 4 {
		c.begin(s, o)
		if o.Restore = "latest"; id != "" && c.job.ID() != id {
			t.Errorf("job %s goes on as %s", id, c.job.ID())
		}
		id = c.job.ID()
		c.until("a checkpoint", func() bool { return c.job.status().Checkpoints.Counts.Completed > 2 })
		if i%2 == 0 {
			c.job.Suspend()
			c.job.end(core.JobSuspended.String())
		}
		if err := c.rig.Close(); err != nil {
			t.Fatal(err)
		}
		s.parallelism = 1 + (s.parallelism+1)%3
	}
	c.begin(s, o)
	c.finish()
}
