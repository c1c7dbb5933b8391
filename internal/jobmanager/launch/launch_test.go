// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package launch_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/launch"
	"github.com/weir-stream/weir/internal/rpc"
)

// launcher makes one in a network in which nobody answers: jobs wait for slots.
func launcher(t *testing.T, store storage.Objects) *launch.Launcher {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	l := launch.New(launch.Config{
		Network: rpc.NewLocal(logger), ResourceManager: "resourcemanager", Logger: logger, Holder: "test",
		Objects:   func(string) storage.Objects { return store },
		Heartbeat: time.Hour, HeartbeatTimeout: 5 * time.Hour, SlotTimeout: time.Hour, CancelTimeout: time.Hour,
		CheckInterval: time.Hour,
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func job(t *testing.T) *graph.JobGraph {
	t.Helper()
	g, err := graph.Build(&graph.StreamGraph{
		Name: "job", Nodes: []*graph.StreamNode{{ID: 0, UID: "in", Name: "in"}},
	}, graph.Options{Parallelism: 1})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestRunOfAGivenJob(t *testing.T) {
	store := storage.Memory()
	id := "0123456789abcdef0123456789abcdef"
	given := launch.Submission{Graph: job(t), Store: store, JobID: id}
	resumed := given
	resumed.Resume = true

	// Whoever was to begin the run died before: there is nothing to continue, so it begins.
	first, err := launcher(t, store).Submit(t.Context(), resumed)
	if err != nil || first.ID() != id {
		t.Fatalf("begun as %v: %v", first, err)
	}
	if _, err := launcher(t, store).Submit(t.Context(), given); !errors.Is(err, storage.ErrRunExists) {
		t.Errorf("the run begins a second time: %v", err)
	}
	// Another run begins in the same directory, so that this one is not the newest.
	if other, err := launcher(t, store).Submit(t.Context(), launch.Submission{Graph: job(t), Store: store}); err != nil || other.ID() == id {
		t.Fatalf("another run is %v: %v", other, err)
	}
	if groups, err := launch.KeyGroups(t.Context(), func(string) storage.Objects { return store }, resumed); err != nil || len(groups) > 0 {
		t.Errorf("a run without checkpoint has key groups %v: %v", groups, err)
	}
	again, err := launcher(t, store).Submit(t.Context(), resumed)
	if err != nil || again.ID() != id {
		t.Fatalf("continued as %v: %v", again, err)
	}
	run, err := storage.NewStore(store).Run(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if epoch, err := run.Epoch(t.Context()); err != nil || epoch.Epoch != 2 {
		t.Errorf("the run was led %d times, want 2: %v", epoch.Epoch, err)
	}
}

func TestSubmissionsThatContradictThemselves(t *testing.T) {
	l := launcher(t, storage.Memory())
	for name, s := range map[string]launch.Submission{
		"newest of a given job":   {JobID: "j", Restore: launch.Latest},
		"resume of no job at all": {Resume: true},
	} {
		s.Graph, s.Store = job(t), storage.Memory()
		if _, err := l.Submit(t.Context(), s); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
