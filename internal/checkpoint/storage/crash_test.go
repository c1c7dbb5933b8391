// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/checkpoint/storage/faultfs"
)

// story is a run from its beginning, with what it was told has happened.
type story struct {
	started   bool  // NewRun returned
	lastID    int64 // of the blocks that were handed out
	completed int64 // newest that Claim called won
	claimed   int64 // newest that Claim was asked for
}

// live takes checkpoints, deletes old ones, begins over with a second leader, and ends. retry is called with each step
// and returns its last error.
func (s *story) live(ctx context.Context, fs *faultfs.FS, retry func(func() error) error) error {
	st := store(fs)
	var r *storage.Run
	err := retry(func() (err error) {
		r, err = st.NewRun(ctx, info("job"))
		if errors.Is(err, storage.ErrRunExists) {
			r, err = st.LatestRun(ctx)
			if errors.Is(err, storage.ErrNoRun) {
				r, err = st.NewRun(ctx, info("job2"))
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	s.started = true
	for _, checkpoints := range []int64{3, 1} {
		if err := s.reign(ctx, r, checkpoints, retry); err != nil {
			return err
		}
	}
	return nil
}

// reign is what one leader does.
func (s *story) reign(ctx context.Context, r *storage.Run, checkpoints int64, retry func(func() error) error) error {
	var l *storage.Leader
	var to *storage.Takeover
	err := retry(func() (err error) {
		l, err = r.Acquire(ctx, "x")
		return err
	})
	if err == nil {
		err = retry(func() (err error) {
			to, err = l.TakeOver(ctx)
			return err
		})
	}
	if err != nil {
		return err
	}
	if to.IDs.First <= s.lastID {
		return fmt.Errorf("ids repeat: block %+v, %d was handed out", to.IDs, s.lastID)
	}
	s.lastID = to.IDs.First + int64(to.IDs.Count) - 1
	var chain []checkpoint.Segment
	for id := to.IDs.First; id < to.IDs.First+checkpoints; id++ {
		if id == to.IDs.First+2 {
			chain = nil // a full one
		}
		var seg checkpoint.Segment
		err := retry(func() (err error) {
			if seg, err = writeState(ctx, l, id); err != nil && !strings.Contains(err.Error(), "crash") {
				err = errors.Join(err, l.RemoveFiles(ctx, []string{storage.StateName(id, "vertex", 0, 1)}))
			}
			return err
		})
		chain = append(chain, seg)
		if err == nil {
			err = retry(func() (err error) {
				_, err = l.WriteMetadata(ctx, metadata(l, id, checkpoint.Periodic, chain...))
				return err
			})
		}
		if err == nil {
			s.claimed = id
			err = retry(func() error {
				won, by, err := l.Claim(ctx, id, storage.Complete, checkpoint.Periodic)
				if err == nil && !won {
					return fmt.Errorf("claim of %d lost to %v", id, by)
				}
				return err
			})
		}
		if err != nil {
			return err
		}
		s.completed = id
		if err := s.drop(ctx, l, id, chain, retry); err != nil {
			return err
		}
	}
	return nil
}

// drop deletes the checkpoint before id, and its state where that is not in chain.
func (s *story) drop(ctx context.Context, l *storage.Leader, id int64, chain []checkpoint.Segment, retry func(func() error) error) error {
	d := storage.Deletion{Below: id + 1, Complete: []int64{id}}
	for old := id - 3; old < id; old++ {
		if old <= 0 {
			continue
		}
		d.IDs = append(d.IDs, old)
		if !slices.ContainsFunc(chain, func(s checkpoint.Segment) bool { return s.Checkpoint == old }) {
			d.Files = append(d.Files, storage.StateName(old, "vertex", 0, 1))
		}
	}
	return retry(func() error { return l.Delete(ctx, d) })
}

func once(step func() error) error { return step() }

// TestCrashAtEveryOperation crashes the machine at each operation, picks several ways in which unsynced changes
// survive, and recovers: nothing that was said to have happened may be lost, and nothing half done may show.
func TestCrashAtEveryOperation(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	errCrash := errors.New("crash")
	points := 0
	for at := 1; ; at++ {
		d := faultfs.New()
		view := d.View()
		view.Before = func(op faultfs.Op) error {
			if op.N >= at {
				return errCrash
			}
			return nil
		}
		var s story
		err := s.live(ctx, view, once)
		if err == nil {
			break
		}
		if !errors.Is(err, errCrash) {
			t.Fatalf("before operation %d: %v", at, err)
		}
		points++
		for seed := range uint64(2) {
			seed += 2 * uint64(at)
			recoverFrom(t, d.Crash(seed), s, fmt.Sprintf("crash at operation %d, seed %d", at, seed))
		}
	}
	if points < 200 {
		t.Errorf("only %d operations to crash at", points)
	}
}

func recoverFrom(t *testing.T, d *faultfs.Disk, s story, when string) {
	t.Helper()
	ctx := t.Context()
	r, err := store(d.View()).LatestRun(ctx)
	if errors.Is(err, storage.ErrNoRun) && !s.started {
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	l, err := r.Acquire(ctx, "recovery")
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	to, err := l.TakeOver(ctx)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	if to.IDs.First <= s.lastID {
		t.Fatalf("%s: block %+v, %d was handed out before", when, to.IDs, s.lastID)
	}
	rec, err := r.Latest(ctx, verify)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	if len(rec.Skipped) > 0 {
		t.Fatalf("%s: a complete checkpoint is not whole: %v", when, rec.Skipped)
	}
	got := int64(0)
	needed := map[string]bool{}
	if rec.Metadata != nil {
		got = rec.Metadata.ID
		for _, f := range rec.Metadata.Files() {
			needed[root+"/job/"+f] = true
		}
	}
	if got != s.completed && got != s.claimed {
		t.Fatalf("%s: recovered %d; %d was complete, %d claimed", when, got, s.completed, s.claimed)
	}
	for name := range d.Tree() {
		if strings.Contains(name, "/state/") && !needed[name] && len(to.Complete) <= 1 {
			t.Fatalf("%s: garbage is left: %s", when, name)
		}
	}
	// A second crash right after changes nothing.
	again := d.Crash(1)
	rec2, err := mustRun(t, again).Latest(ctx, verify)
	if err != nil || (rec2.Metadata == nil) != (rec.Metadata == nil) || rec2.Metadata != nil && rec2.Metadata.ID != got {
		t.Fatalf("%s: second crash: %+v, %v, want %d", when, rec2, err, got)
	}
}

func mustRun(t *testing.T, d *faultfs.Disk) *storage.Run {
	t.Helper()
	r, err := store(d.View()).LatestRun(t.Context())
	must(t, err)
	return r
}

// TestErrorAtEveryOperation fails each operation once, without effect and with, and tries each step again: the run goes
// on as if nothing had been.
func TestErrorAtEveryOperation(t *testing.T) {
	t.Parallel()
	for _, effect := range []bool{false, true} {
		t.Run(fmt.Sprintf("effect=%v", effect), func(t *testing.T) {
			t.Parallel()
			for at := 1; ; at++ {
				d := faultfs.New()
				view := d.View()
				fail := func(op faultfs.Op) error {
					if op.N == at {
						return syscall.EIO
					}
					return nil
				}
				if effect {
					view.After = fail
				} else {
					view.Before = fail
				}
				var s story
				err := s.live(t.Context(), view, func(step func() error) error {
					err := step()
					if errors.Is(err, syscall.EIO) {
						err = step()
					}
					return err
				})
				if err != nil {
					t.Fatalf("after an error at operation %d: %v", at, err)
				}
				rec, err := mustRun(t, d).Latest(t.Context(), verify)
				if err != nil || rec.Metadata.ID != s.completed || len(rec.Skipped) > 0 {
					t.Fatalf("after an error at operation %d: %+v, %v, want %d", at, rec, err, s.completed)
				}
				if view.Ops() < at {
					break
				}
			}
		})
	}
}
