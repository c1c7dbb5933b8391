// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
	"github.com/weir-stream/weir/internal/jobmanager/launch"
	"github.com/weir-stream/weir/internal/taskmanager"
)

// wait returns how the job ended, and checks that each of n records was committed.
func (w *world) wait(t *testing.T, j *Job, n int) Result {
	t.Helper()
	r, err := j.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.Status == "FINISHED" && len(w.mu.committed) != n {
		t.Errorf("%d records committed, want %d", len(w.mu.committed), n)
	}
	return r
}

func start(t *testing.T, c Config) *Cluster {
	t.Helper()
	k, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func submit(t *testing.T, k *Cluster, g *graph.JobGraph, o RunOptions) *Job {
	t.Helper()
	j, err := k.Submit(t.Context(), g, o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func stop(t *testing.T, k *Cluster) {
	t.Helper()
	if err := k.Close(); err != nil {
		t.Error(err)
	}
}

func TestBoundedJobFinishes(t *testing.T) {
	for _, two := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			k := start(t, testConfig(w, 2, 2))
			defer stop(t, k)
			j := submit(t, k, w.numbers(20, 50, two), RunOptions{})
			if r := w.wait(t, j, 1000); r.Status != "FINISHED" {
				t.Errorf("two=%v: %+v", two, r)
			}
			time.Sleep(time.Second)
		})
	}
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) get(f func() int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return f()
}

// TestTaskFailure fails a task in the middle, in a job of one region and in one of four: nothing is lost.
func TestTaskFailure(t *testing.T) {
	for _, two := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			k := start(t, testConfig(w, 2, 2))
			defer stop(t, k)
			j := submit(t, k, w.numbers(20, 50, two), RunOptions{})
			time.Sleep(75 * time.Millisecond)
			w.set(func() { w.mu.failNext = errors.New("boom") })
			time.Sleep(75 * time.Millisecond)
			if !k.FailTask(t.Context(), j.ID(), graph.SubtaskID{Vertex: 0, Subtask: 1}, errors.New("bang")) {
				t.Error("no task failed")
			}
			if r := w.wait(t, j, 1000); r.Status != "FINISHED" {
				t.Errorf("two=%v: %+v", two, r)
			}
			starts := map[bool]int{false: 4 + 2, true: 3 * 8}[two]
			if n := w.get(func() int { return w.mu.starts }); n != starts {
				t.Errorf("two=%v: %d tasks started, want %d", two, n, starts)
			}
			d, err := j.Status(t.Context())
			if err != nil || len(d.Failures) != 2 {
				t.Errorf("failures %v, error %v", d.Failures, err)
			}
		})
	}
}

// TestTaskManagerKilled kills one of two TaskManagers without a word; the job goes on when it is back.
func TestTaskManagerKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := start(t, testConfig(w, 2, 2))
		defer stop(t, k)
		j := submit(t, k, w.numbers(20, 50, true), RunOptions{})
		time.Sleep(75 * time.Millisecond)
		if err := k.KillTaskManager(1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if d, err := j.Status(t.Context()); err != nil || d.Status != core.JobRestarting || d.MissingSlots != 2 {
			t.Errorf("status %v, %d slots missing, error %v", d.Status, d.MissingSlots, err)
		}
		if err := k.StartTaskManager(1); err != nil {
			t.Fatal(err)
		}
		if r := w.wait(t, j, 1000); r.Status != "FINISHED" {
			t.Errorf("%+v", r)
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := start(t, testConfig(w, 1, 4))
		defer stop(t, k)
		j := submit(t, k, w.numbers(20, 50, true), RunOptions{})
		time.Sleep(75 * time.Millisecond)
		j.Cancel()
		if r := w.wait(t, j, 0); r.Status != "CANCELED" {
			t.Errorf("%+v", r)
		}
	})
}

// TestSuspendAndContinue stops with a last checkpoint and goes on from it: the same run, the next epoch.
func TestSuspendAndContinue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := start(t, testConfig(w, 2, 2))
		defer stop(t, k)
		j := submit(t, k, w.numbers(20, 50, true), RunOptions{})
		time.Sleep(90 * time.Millisecond)
		j.Suspend()
		if r := w.wait(t, j, 0); r.Status != "SUSPENDED" {
			t.Fatalf("%+v", r)
		}
		d, err := j.Status(t.Context())
		if err != nil || d.Checkpoints.LatestCompleted == nil || d.Checkpoints.LatestCompleted.Kind != checkpoint.Suspend {
			t.Errorf("last checkpoint %+v, error %v", d.Checkpoints.LatestCompleted, err)
		}
		if n := w.get(func() int { return len(w.mu.committed) }); n < 200 || n > 400 {
			t.Errorf("%d records committed by the last checkpoint", n)
		}
		again := submit(t, k, w.numbers(20, 50, true), RunOptions{Restore: launch.Latest})
		if again.ID() != j.ID() {
			t.Errorf("job %s continues as %s", j.ID(), again.ID())
		}
		if r := w.wait(t, again, 1000); r.Status != "FINISHED" {
			t.Errorf("%+v", r)
		}
		if d, err := again.Status(t.Context()); err != nil || d.Epoch != 2 {
			t.Errorf("epoch %d, error %v", d.Epoch, err)
		}
		past := submit(t, k, w.numbers(20, 50, true), RunOptions{Restore: launch.Latest})
		if r := w.wait(t, past, 1000); r.Status != "FINISHED" || !r.Earlier {
			t.Errorf("after the end: %+v", r)
		}
	})
}

// TestStopWithSavepoint ends a job with a savepoint, from which a new run goes on at the same place.
func TestStopWithSavepoint(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := start(t, testConfig(w, 2, 2))
		defer stop(t, k)
		j := submit(t, k, w.numbers(20, 50, true), RunOptions{})
		time.Sleep(70 * time.Millisecond)
		plain, err := j.Savepoint(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Millisecond)
		path, err := j.StopWithSavepoint(t.Context(), dir, false)
		if err != nil {
			t.Fatal(err)
		}
		var committed map[int]int
		w.set(func() { committed = maps.Clone(w.mu.committed) })
		if r := w.wait(t, j, len(committed)); r.Status != "FINISHED" || r.Savepoint != path {
			t.Errorf("%+v, want savepoint %s", r, path)
		}
		for _, from := range []string{plain, path} {
			again := submit(t, k, w.numbers(20, 50, true), RunOptions{Restore: from})
			if again.ID() == j.ID() {
				t.Error("a new run has the id of the old one")
			}
			if r := w.wait(t, again, 1000); r.Status != "FINISHED" {
				t.Errorf("from %s: %+v", from, r)
			}
			w.set(func() { w.mu.committed = committed })
		}
	})
}

// TestLeftBehind cancels a job whose tasks never end.
func TestLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := start(t, testConfig(w, 1, 4))
		j := submit(t, k, w.numbers(20, 50, true), RunOptions{})
		time.Sleep(75 * time.Millisecond)
		w.set(func() { w.mu.stuck = true })
		if !k.FailTask(t.Context(), j.ID(), graph.SubtaskID{}, errors.New("bang")) {
			t.Error("no task failed")
		}
		j.Cancel()
		if r := w.wait(t, j, 0); r.Status != "FAILED" || !strings.Contains(r.Error, "left behind") {
			t.Errorf("%+v", r)
		}
		if err := k.Close(); !errors.Is(err, taskmanager.ErrLeftBehind) {
			t.Errorf("close: %v", err)
		}
		close(w.release)
	})
}

func TestTooFewSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := start(t, testConfig(w, 1, 3))
		defer stop(t, k)
		_, err := k.Submit(t.Context(), w.numbers(1, 1, true), RunOptions{})
		if err == nil || !strings.Contains(err.Error(), "4 slots") {
			t.Errorf("error %v", err)
		}
	})
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestStuckCommitter: a committer that never returns does not keep the cluster from closing.
func TestStuckCommitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := start(t, testConfig(w, 1, 4))
		g := w.numbers(20, 50, true)
		g.Stream.Nodes[1].Sink.NewCommitter = func(context.Context) (graph.Committer, error) {
			<-w.release
			return nil, errors.New("too late")
		}
		j := submit(t, k, g, RunOptions{})
		time.Sleep(200 * time.Millisecond)
		if err := k.Close(); !errors.Is(err, jobmaster.ErrLeftBehind) {
			t.Errorf("close: %v", err)
		}
		if r := w.wait(t, j, 0); r.Status != "SUSPENDED" {
			t.Errorf("%+v", r)
		}
		close(w.release)
	})
}

// interrupted objects call a function before they make an epoch.
type interrupted struct {
	storage.Objects
	call func()
}

func (o interrupted) Create(ctx context.Context, name string, data []byte) (bool, error) {
	if strings.Contains(name, "/epoch/") {
		o.call()
	}
	return o.Objects.Create(ctx, name, data)
}

// TestCloseWhileJobStarts closes the cluster between the look at whether it is closed and the start of the JobMaster:
// the goroutines of that one end with Submit.
func TestCloseWhileJobStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := start(t, testConfig(w, 2, 2))
		k.memory = interrupted{k.memory, func() { stop(t, k) }}
		if _, err := k.Submit(t.Context(), w.numbers(20, 50, true), RunOptions{}); !errors.Is(err, launch.ErrClosed) {
			t.Errorf("submitted to a cluster that was closed meanwhile: %v", err)
		}
	})
}

// TestRefusedRunIsWithdrawn lets a sink refuse a run: all that sinks have claimed for it is given back, and the run before
// is the newest again.
func TestRefusedRunIsWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := start(t, testConfig(w, 2, 2))
		defer stop(t, k)
		first := submit(t, k, w.numbers(2, 10, true), RunOptions{})
		w.wait(t, first, 20)

		g := w.numbers(2, 10, true)
		var claimed, withdrawn []string
		occupied := errors.New("occupied")
		for _, n := range g.Stream.Nodes {
			n.Sink = &graph.SinkSpec{
				Probe: func(_ context.Context, run connector.NewRun) error {
					if claimed = append(claimed, run.JobID); len(claimed) == len(g.Stream.Nodes) {
						return occupied
					}
					return nil
				},
				Withdraw: func(_ context.Context, jobID string) error {
					withdrawn = append(withdrawn, jobID)
					return nil
				},
			}
		}
		if _, err := k.Submit(t.Context(), g, RunOptions{}); !errors.Is(err, occupied) {
			t.Errorf("submitted although a sink refused: %v", err)
		}
		if !slices.Equal(withdrawn, claimed) {
			t.Errorf("withdrawn for %q, claimed for %q", withdrawn, claimed)
		}
		latest := submit(t, k, w.numbers(2, 10, true), RunOptions{Restore: launch.Latest})
		if latest.ID() != first.ID() {
			t.Errorf("the newest run is %s, want %s", latest.ID(), first.ID())
		}
	})
}
