// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/checkpoint/storage/faultfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const root = "/ckpt"

func store(d *faultfs.FS) *storage.Store { return storage.NewStore(storage.Files(d, root)) }

func info(job string) storage.RunInfo {
	return storage.RunInfo{JobID: job, JobName: "test", Created: time.Unix(1, 0).UTC(), Fingerprint: 7}
}

// verify checks a state file of these tests, which is its own index.
func verify(r io.ReaderAt, size int64, s *checkpoint.Segment) error {
	b := make([]byte, size)
	if _, err := r.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if checkpoint.Checksum(b) != s.Checksum {
		return fmt.Errorf("%w: checksum", checkpoint.ErrCorrupt)
	}
	return nil
}

func stateContent(id int64) []byte {
	return []byte(strings.Repeat(fmt.Sprintf("state of %d;", id), 20))
}

// writeState writes the state file of a checkpoint.
func writeState(ctx context.Context, l *storage.Leader, id int64) (checkpoint.Segment, error) {
	name := storage.StateName(id, "vertex", 0, 1)
	w, err := l.NewStateFile(ctx, name)
	if err != nil {
		return checkpoint.Segment{}, err
	}
	b := stateContent(id)
	if _, err := w.Write(b); err != nil {
		return checkpoint.Segment{}, errors.Join(err, w.Abort())
	}
	if err := w.Close(); err != nil {
		return checkpoint.Segment{}, errors.Join(err, w.Abort())
	}
	return checkpoint.Segment{Checkpoint: id, Path: name, Size: int64(len(b)), Bytes: int64(len(b)), Checksum: checkpoint.Checksum(b)}, nil
}

// metadata of a checkpoint with these segments.
func metadata(l *storage.Leader, id int64, kind checkpoint.Kind, segments ...checkpoint.Segment) *checkpoint.Metadata {
	var all []int
	for i := range segments {
		all = append(all, i)
	}
	return &checkpoint.Metadata{
		JobID: l.Info().JobID, ID: id, Epoch: l.Epoch(), Kind: kind,
		Operators: []checkpoint.Operator{{
			ID: "op", Parallelism: 1, MaxParallelism: 128,
			Subtasks: []checkpoint.Subtask{{State: checkpoint.StateHandle{
				Segments: segments,
				States:   []checkpoint.State{{Name: "s", Segments: all}},
			}}},
		}},
	}
}

// take takes a whole checkpoint on top of base.
func take(ctx context.Context, l *storage.Leader, id int64, base ...checkpoint.Segment) (checkpoint.Segment, error) {
	seg, err := writeState(ctx, l, id)
	if err != nil {
		return seg, err
	}
	if _, err := l.WriteMetadata(ctx, metadata(l, id, checkpoint.Periodic, append(base, seg)...)); err != nil {
		return seg, err
	}
	won, by, err := l.Claim(ctx, id, storage.Complete, checkpoint.Periodic)
	if err == nil && !won {
		err = fmt.Errorf("claim of %d lost to %v", id, by)
	}
	return seg, err
}

func lead(t *testing.T, r *storage.Run, holder string) (*storage.Leader, *storage.Takeover) {
	t.Helper()
	l, err := r.Acquire(t.Context(), holder)
	if err != nil {
		t.Fatal(err)
	}
	to, err := l.TakeOver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l, to
}

func newRun(t *testing.T, s *storage.Store, job string) *storage.Run {
	t.Helper()
	r, err := s.NewRun(t.Context(), info(job))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// media are the implementations of Objects.
func media(t *testing.T) map[string]*storage.Store {
	t.Helper()
	return map[string]*storage.Store{
		"os":     storage.NewStore(storage.Files(storage.OS(), t.TempDir()+"/a/b")),
		"fault":  store(faultfs.New().View()),
		"memory": storage.NewStore(storage.Memory()),
	}
}

// TestWithdrawnRun is one that was refused before it started: the run before it is the latest again.
func TestWithdrawnRun(t *testing.T) {
	for name, s := range media(t) {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			latest := func(want string) {
				t.Helper()
				r, err := s.LatestRun(ctx)
				switch {
				case want == "" && !errors.Is(err, storage.ErrNoRun):
					t.Errorf("latest run %v, %v; want none", r, err)
				case want != "" && (err != nil || r.Info().JobID != want):
					t.Errorf("latest run %v, %v; want %s", r, err, want)
				}
			}
			begin := func(job string) *storage.Run {
				t.Helper()
				r, err := s.NewRun(ctx, info(job))
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			withdraw := func(r *storage.Run) {
				t.Helper()
				if err := s.Withdraw(ctx, r); err != nil {
					t.Fatal(err)
				}
			}
			withdraw(begin("refused"))
			latest("")
			begin("one")
			two := begin("two")
			withdraw(two)
			latest("one")
			withdraw(begin("three"))
			latest("one")
			four := begin("four")
			begin("five")
			withdraw(four) // another run began meanwhile
			latest("five")
			if _, err := s.Run(ctx, "two"); !errors.Is(err, storage.ErrNoRun) {
				t.Errorf("the withdrawn run is still there: %v", err)
			}
		})
	}
}

func TestLifeOfARun(t *testing.T) {
	for name, s := range media(t) {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if _, err := s.LatestRun(ctx); !errors.Is(err, storage.ErrNoRun) {
				t.Fatalf("latest run of an empty store: %v", err)
			}
			newRun(t, s, "first")
			newRun(t, s, "second")
			if _, err := s.NewRun(ctx, info("first")); !errors.Is(err, storage.ErrRunExists) {
				t.Fatalf("a job id was given twice: %v", err)
			}
			r, err := s.LatestRun(ctx)
			must(t, err)
			if r.Info() != info("second") {
				t.Fatalf("latest run is %+v", r.Info())
			}

			l, to := lead(t, r, "a")
			if to.IDs.First != 1 || len(to.Complete) != 0 || l.Epoch() != 1 {
				t.Fatalf("first leader: epoch %d, %+v", l.Epoch(), to)
			}
			rec, err := r.Latest(ctx, verify)
			if err != nil || rec.Metadata != nil {
				t.Fatalf("latest before any checkpoint: %+v, %v", rec, err)
			}
			one, err := take(ctx, l, 1)
			must(t, err)
			_, err = take(ctx, l, 3, one)
			must(t, err)
			must(t, l.Check(ctx))
			e, err := r.Epoch(ctx)
			if err != nil || e != (storage.EpochInfo{Epoch: 1, Holder: "a"}) {
				t.Fatalf("epoch: %+v, %v", e, err)
			}

			next, to := lead(t, r, "b")
			if to.IDs.First != 17 || fmt.Sprint(to.Complete) != "[1 3]" {
				t.Fatalf("second leader found %+v", to)
			}
			if err := l.Check(ctx); !errors.Is(err, storage.ErrDeposed) {
				t.Fatalf("deposed leader passes: %v", err)
			}
			must(t, next.Delete(ctx, storage.Deletion{Below: 17, Complete: []int64{3}, IDs: []int64{1}}))
			rec, err = r.Latest(ctx, verify)
			must(t, err)
			if rec.Metadata.ID != 3 || len(rec.Metadata.Files()) != 2 {
				t.Fatalf("latest is %+v", rec.Metadata)
			}
			b, err := next.ReserveIDs(ctx)
			if err != nil || b != (storage.Block{First: 33, Count: 16}) {
				t.Fatalf("second block: %+v, %v", b, err)
			}

			if res, err := r.Result(ctx); res != nil || err != nil {
				t.Fatalf("result before the end: %v, %v", res, err)
			}
			want := storage.Result{Status: "FINISHED", Ended: time.Unix(9, 0).UTC(), Checkpoint: 3}
			must(t, next.WriteResult(ctx, want))
			if err := next.WriteResult(ctx, storage.Result{Status: "FAILED"}); err == nil {
				t.Fatal("a job ended twice")
			}
			want.Epoch = 2
			res, err := r.Result(ctx)
			if err != nil || *res != want {
				t.Fatalf("result %+v, %v", res, err)
			}
		})
	}
}

func TestCorruptCheckpointIsSkippedWithFileAndReason(t *testing.T) {
	cut := func(b []byte) []byte { return b[:len(b)-3] }
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	id := fmt.Sprintf("%020d", 2)
	for _, tc := range []struct {
		name, file string
		damage     func([]byte) []byte
		reason     string
	}{
		{"metadata cut", "chk/" + id + ".meta", cut, "truncated"},
		{"metadata flipped", "chk/" + id + ".meta", flip, "corrupt"},
		{"marker flipped", "chk/" + id + ".mark", flip, "corrupt"},
		{"marker empty", "chk/" + id + ".mark", func([]byte) []byte { return nil }, "corrupt"},
		{"state cut", "state/" + id + "-vertex-0-1", cut, "bytes, want"},
		{"state flipped", "state/" + id + "-vertex-0-1", flip, "checksum"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := faultfs.New()
			r := newRun(t, store(d.View()), "job")
			l, _ := lead(t, r, "a")
			for id := int64(1); id <= 2; id++ {
				_, err := take(t.Context(), l, id)
				must(t, err)
			}
			must(t, d.Damage(root+"/job/"+tc.file, tc.damage))
			lead(t, r, "b")
			rec, err := r.Latest(t.Context(), verify)
			must(t, err)
			if rec.Metadata.ID != 1 {
				t.Fatalf("recovered %d, want 1", rec.Metadata.ID)
			}
			if msg := errors.Join(rec.Skipped...).Error(); !strings.Contains(msg, tc.file) || !strings.Contains(msg, tc.reason) {
				t.Errorf("skipped because %q, want %q and %q", msg, tc.file, tc.reason)
			}
			// With nothing left to fall back on, it is an error and not a fresh start.
			must(t, d.Damage(root+"/job/"+strings.Replace(tc.file, id, fmt.Sprintf("%020d", 1), 1), tc.damage))
			if rec, err := r.Latest(t.Context(), verify); !errors.Is(err, storage.ErrNoneUsable) {
				t.Errorf("all corrupt: %+v, %v", rec, err)
			}
		})
	}
}

// TestUnreadableIsNotCorrupt fails to read the newest checkpoint: that must be an error, for its output may be committed,
// and an older one would write it again.
func TestUnreadableIsNotCorrupt(t *testing.T) {
	for _, part := range []string{"/chk/", "/state/"} {
		d := faultfs.New()
		l, _ := lead(t, newRun(t, store(d.View()), "job"), "a")
		for id := int64(1); id <= 2; id++ {
			_, err := take(t.Context(), l, id)
			must(t, err)
		}
		view := d.View()
		view.Before = func(op faultfs.Op) error {
			if op.Kind == "read" && strings.Contains(op.Name, part+fmt.Sprintf("%020d", 2)) {
				return syscall.EIO
			}
			return nil
		}
		r, err := store(view).LatestRun(t.Context())
		must(t, err)
		rec, err := r.Latest(t.Context(), verify)
		if !errors.Is(err, syscall.EIO) || errors.Is(err, storage.ErrNoneUsable) {
			t.Errorf("%s can't be read: %+v, %v", part, rec, err)
		}
	}
}

func TestTakeoverSweepsGarbage(t *testing.T) {
	d := faultfs.New()
	r := newRun(t, store(d.View()), "job")
	l, _ := lead(t, r, "a")
	one, err := take(t.Context(), l, 1)
	must(t, err)
	seg, err := writeState(t.Context(), l, 2)
	must(t, err)
	_, err = l.WriteMetadata(t.Context(), metadata(l, 2, checkpoint.Periodic, one, seg))
	must(t, err)
	_, err = writeState(t.Context(), l, 3)
	must(t, err)

	_, to := lead(t, r, "b")
	if to.Aborted != 15 {
		t.Errorf("%d aborted, want 15", to.Aborted)
	}
	for name := range d.Tree() {
		if strings.Contains(name, "/state/") && name != root+"/job/"+one.Path {
			t.Errorf("garbage stays: %s", name)
		}
		if strings.Contains(name, "/chk/") && !strings.Contains(name, fmt.Sprintf("%020d", 1)) {
			t.Errorf("garbage stays: %s", name)
		}
	}
	rec, err := r.Latest(t.Context(), verify)
	if err != nil || rec.Metadata.ID != 1 {
		t.Fatalf("recovered %+v, %v", rec, err)
	}
}

func TestSweepKeepsStateThatUnreadableMetadataMayNeed(t *testing.T) {
	d := faultfs.New()
	r := newRun(t, store(d.View()), "job")
	l, _ := lead(t, r, "a")
	for id := int64(1); id <= 2; id++ {
		_, err := take(t.Context(), l, id)
		must(t, err)
	}
	must(t, d.Damage(fmt.Sprintf("%s/job/chk/%020d.meta", root, 2), func(b []byte) []byte { return b[:10] }))
	lead(t, r, "b")
	if _, ok := d.Tree()[root+"/job/"+storage.StateName(2, "vertex", 0, 1)]; !ok {
		t.Error("the state of a checkpoint was removed because its metadata couldn't be read")
	}
}

func TestSavepointIsNotForRecovery(t *testing.T) {
	s := store(faultfs.New().View())
	r := newRun(t, s, "job")
	l, _ := lead(t, r, "a")
	_, err := take(t.Context(), l, 1)
	must(t, err)
	if won, _, err := l.Claim(t.Context(), 2, storage.Complete, checkpoint.Savepoint); err != nil || !won {
		t.Fatal(won, err)
	}
	_, to := lead(t, r, "b")
	if fmt.Sprint(to.Complete) != "[1]" {
		t.Errorf("complete: %v", to.Complete)
	}
	if rec, err := r.Latest(t.Context(), verify); err != nil || rec.Metadata.ID != 1 {
		t.Errorf("recovered %+v, %v", rec, err)
	}
}

func TestDeleteRefusesWhatIsNotItsOwn(t *testing.T) {
	r := newRun(t, store(faultfs.New().View()), "job")
	l, _ := lead(t, r, "a")
	if err := l.Delete(t.Context(), storage.Deletion{Below: 3, IDs: []int64{3}}); err == nil {
		t.Error("an id was deleted that isn't decided")
	}
	if err := l.Delete(t.Context(), storage.Deletion{Below: 3, Files: []string{"/elsewhere/state/1"}}); err == nil {
		t.Error("a file of another was deleted")
	}
	must(t, l.Delete(t.Context(), storage.Deletion{Below: 5}))
	if err := l.Delete(t.Context(), storage.Deletion{Below: 4}); err == nil {
		t.Error("decided-below went down")
	}
}

func TestRemovedDirectoryFailsEveryWrite(t *testing.T) {
	dir := t.TempDir() + "/ckpt"
	s := storage.NewStore(storage.Files(storage.OS(), dir))
	r := newRun(t, s, "job")
	l, to := lead(t, r, "a")
	removeAll(t, dir)
	if _, err := writeState(t.Context(), l, to.IDs.First); err == nil {
		t.Error("state was written into a directory that is gone")
	}
	if _, _, err := l.Claim(t.Context(), 1, storage.Complete, checkpoint.Periodic); err == nil || errors.Is(err, storage.ErrDeposed) {
		t.Errorf("claim without a directory: %v", err)
	}
	if err := l.Check(t.Context()); err == nil || errors.Is(err, storage.ErrDeposed) {
		t.Errorf("leads without a directory: %v", err)
	}
}

func TestFullDisk(t *testing.T) {
	d := faultfs.New()
	r := newRun(t, store(d.View()), "job")
	l, _ := lead(t, r, "a")
	_, err := take(t.Context(), l, 1)
	must(t, err)
	failed := 0
	for room, id := int64(0), int64(2); ; room, id = room+7, id%15+1 {
		if id == 1 {
			continue
		}
		d.Limit(room)
		_, err := take(t.Context(), l, id)
		d.Limit(-1)
		if err == nil {
			break
		}
		failed++
		if !strings.Contains(err.Error(), "no space left") {
			t.Fatalf("with %d bytes: %v", room, err)
		}
		rec, err := r.Latest(t.Context(), verify)
		if err != nil || rec.Metadata.ID != 1 || len(rec.Skipped) > 0 {
			t.Fatalf("after a full disk: %+v, %v", rec, err)
		}
		// Nothing is in the way of the next one.
		must(t, l.RemoveFiles(t.Context(), []string{storage.StateName(id, "vertex", 0, 1)}))
	}
	if failed < 50 {
		t.Errorf("only %d sizes of disk were too small", failed)
	}
}

func TestProbe(t *testing.T) {
	disk := faultfs.New()
	s := storage.NewStore(storage.Files(disk.View(), root))
	newRun(t, s, "job")
	must(t, s.Probe(t.Context(), "job", "tm-1"))
	names, err := storage.Files(disk.View(), root).List(t.Context(), "job")
	must(t, err)
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "probe") }) {
		t.Errorf("the probe is left: %v", names)
	}
	synctest.Test(t, func(t *testing.T) {
		elsewhere := faultfs.New()
		err := storage.NewStore(storage.Files(elsewhere.View(), root)).Probe(t.Context(), "job", "tm-2")
		if err == nil || !strings.Contains(err.Error(), root+" is not the JobMaster's") {
			t.Errorf("another directory: %v", err)
		}
		if names, err := elsewhere.View().ReadDir(root); err == nil {
			t.Errorf("the directory was made: %v", names)
		}
	})
}
