// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package launch

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
)

// newJobID makes an id in Flink's form.
func newJobID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// RefusedError says that a sink refuses a run, whose results would mix with those of another.
type RefusedError struct {
	Sink string
	Err  error
}

// Error implements error.
func (e *RefusedError) Error() string { return fmt.Sprintf("sink %q: %v", e.Sink, e.Err) }

// Unwrap returns what the sink said.
func (e *RefusedError) Unwrap() error { return e.Err }

// prepared is a run that can be taken over.
type prepared struct {
	run      *storage.Run
	snapshot *storage.Snapshot
	allow    bool
	past     *storage.Result
}

// prepare finds or begins the run of a submission, and sees whether what it starts from fits.
func (l *Launcher) prepare(ctx context.Context, s Submission) (*prepared, error) {
	store := storage.NewStore(s.Store)
	info := storage.RunInfo{
		JobID: cmp.Or(s.JobID, newJobID()), JobName: s.Graph.Name, Created: time.Now().UTC(), Fingerprint: s.Graph.Fingerprint,
	}
	r := &prepared{allow: s.AllowNonRestoredState}
	var err error
	if r.run, err = earlierRun(ctx, store, &s); err == nil {
		return r, l.continued(ctx, store, s, r)
	}
	if !errors.Is(err, storage.ErrNoRun) {
		return nil, err
	}
	if s.Restore == Latest || s.Resume {
		l.config.Logger.WarnContext(ctx, "there is no run to continue: a new one begins", "dir", s.Store.Location())
	}
	if s.Restore != "" && s.Restore != Latest {
		if r.snapshot, err = l.open(ctx, s.Graph, s.Restore, s.AllowNonRestoredState); err != nil {
			return nil, err
		}
		info.RestoredFrom, info.AllowNonRestoredState = r.snapshot.Path, s.AllowNonRestoredState
	}
	if r.run, err = store.NewRun(ctx, info); err != nil {
		return nil, err
	}
	// The run is on record before its sinks claim their places for it: whoever dies between the two is continued.
	return r, l.probe(ctx, store, s.Graph, r)
}

// earlierRun returns the run that a submission continues; the error is storage.ErrNoRun where it begins one.
func earlierRun(ctx context.Context, store *storage.Store, s *Submission) (*storage.Run, error) {
	switch {
	case s.Restore == Latest:
		return store.LatestRun(ctx)
	case s.Resume:
		return store.Run(ctx, s.JobID)
	}
	return nil, storage.ErrNoRun
}

// continued sees how a run that was begun before has ended, or what it goes on from.
func (l *Launcher) continued(ctx context.Context, store *storage.Store, s Submission, r *prepared) (err error) {
	if r.past, err = r.run.Result(ctx); err != nil || r.past != nil {
		return err
	}
	newest, err := r.run.Latest(ctx, l.config.Verify)
	if err != nil {
		return err
	}
	for _, skipped := range newest.Skipped {
		l.config.Logger.WarnContext(ctx, "checkpoint can't be used, an older one is", "error", skipped)
	}
	if newest.Metadata != nil {
		l.reach(ctx, s.Graph, r.run.Info().JobID)
		return core.CheckFit(s.Graph, newest.Metadata, s.AllowNonRestoredState)
	}
	if info := r.run.Info(); info.RestoredFrom != "" {
		r.allow = r.allow || info.AllowNonRestoredState
		if r.snapshot, err = l.open(ctx, s.Graph, info.RestoredFrom, r.allow); err != nil {
			return err
		}
	}
	return l.probe(ctx, store, s.Graph, r) // it may have died before it had claimed all places
}

// open reads what a new run begins from, and sees whether it fits.
func (l *Launcher) open(ctx context.Context, g *graph.JobGraph, path string, allow bool) (*storage.Snapshot, error) {
	snap, err := storage.OpenSnapshot(ctx, l.config.Objects, path, l.config.Verify)
	if err != nil {
		return nil, err
	}
	for _, skipped := range snap.Skipped {
		l.config.Logger.WarnContext(ctx, "checkpoint can't be used, an older one is", "error", skipped)
	}
	if err := core.CheckFit(g, snap.Metadata, allow); err != nil {
		return nil, fmt.Errorf("restore from %s: %w", path, err)
	}
	return snap, nil
}

// probe asks the sinks of a run that begins whether they would mix its results with those of another. A run that is
// refused and has not led before is withdrawn, so that the one before it can be continued.
func (l *Launcher) probe(ctx context.Context, store *storage.Store, g *graph.JobGraph, r *prepared) error {
	err := l.askSinks(ctx, store, g, r)
	if err == nil {
		return nil
	}
	epoch, err2 := r.run.Epoch(ctx)
	if err2 == nil && epoch.Epoch == 0 {
		err2 = errors.Join(withdraw(ctx, g, r.run.Info().JobID), store.Withdraw(ctx, r.run))
	}
	return errors.Join(err, err2)
}

func (l *Launcher) askSinks(ctx context.Context, store *storage.Store, g *graph.JobGraph, r *prepared) (err error) {
	run := connector.NewRun{JobID: r.run.Info().JobID}
	if r.snapshot != nil {
		run.From = r.snapshot.Metadata.JobID
		if run.Newest, err = r.snapshot.Newest(ctx, store); err != nil {
			return err
		}
	}
	for _, n := range g.Stream.Nodes {
		if n.Sink == nil || n.Sink.Probe == nil {
			continue
		}
		if err := n.Sink.Probe(ctx, run); err != nil {
			return &RefusedError{Sink: n.UID, Err: err}
		}
	}
	return nil
}

// reach warns of places of sinks that this machine does not see, though the run has begun: commits will fail as long as that
// is so. They may be back in a moment.
func (l *Launcher) reach(ctx context.Context, g *graph.JobGraph, jobID string) {
	for _, n := range g.Stream.Nodes {
		if n.Sink == nil || n.Sink.Reach == nil {
			continue
		}
		if err := n.Sink.Reach(ctx, jobID, "jobmaster"); err != nil {
			l.config.Logger.ErrorContext(ctx, "the JobMaster does not reach what its sink commits to", "job", jobID, "uid", n.UID, "error", err)
		}
	}
}

// withdraw takes back what sinks have claimed for a run that another sink refused.
func withdraw(ctx context.Context, g *graph.JobGraph, jobID string) (err error) {
	for _, n := range g.Stream.Nodes {
		if n.Sink != nil && n.Sink.Withdraw != nil {
			err = errors.Join(err, n.Sink.Withdraw(ctx, jobID))
		}
	}
	return err
}
