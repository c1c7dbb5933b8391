// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
)

func removeAll(t *testing.T, dir string) {
	t.Helper()
	must(t, os.RemoveAll(dir))
}

func open(location string) storage.Objects { return storage.Files(storage.OS(), location) }

// writeSavepoint writes savepoint 5 below dir and returns its directory.
func writeSavepoint(t *testing.T, l *storage.Leader, dir string) (string, *checkpoint.Metadata) {
	t.Helper()
	const id = 5
	at := filepath.Join(dir, checkpoint.SavepointName(l.Info().JobID, id))
	seg, err := writeState(t.Context(), l, id)
	must(t, err)
	m := metadata(l, id, checkpoint.Savepoint, seg)
	for range 2 { // a second attempt, after one of which nobody knows how it ended, is no error
		if _, err := l.WriteSavepoint(t.Context(), open(at), m); err != nil {
			t.Fatal(err)
		}
	}
	must(t, l.RemoveFiles(t.Context(), []string{seg.Path}))
	return at, m
}

func TestSavepointAcrossMedia(t *testing.T) {
	s := storage.NewStore(storage.Memory())
	l, _ := lead(t, newRun(t, s, "job"), "a")
	at, _ := writeSavepoint(t, l, t.TempDir())
	if _, err := storage.OpenSnapshot(t.Context(), open, at, verify); err != nil {
		t.Fatal(err)
	}
}

func TestSavepointCanBeMoved(t *testing.T) {
	dir := t.TempDir()
	l, _ := lead(t, newRun(t, storage.NewStore(open(dir+"/ckpt")), "job"), "a")
	at, m := writeSavepoint(t, l, dir)

	// Written again by a JobMaster that doesn't know whether it succeeded; refused to one that has other contents.
	_, err := storage.WriteSavepoint(t.Context(), open(at), m)
	must(t, err)
	other := *m
	other.ID++
	if _, err := storage.WriteSavepoint(t.Context(), open(at), &other); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a savepoint was overwritten: %v", err)
	}

	moved := dir + "/moved"
	must(t, os.Rename(at, moved))
	for _, path := range []string{moved, moved + "/", moved + "/_metadata"} {
		s, err := storage.OpenSnapshot(t.Context(), open, path, verify)
		must(t, err)
		if files := s.Metadata.Files(); len(files) != 1 || !strings.HasPrefix(files[0], moved+"/state/") {
			t.Errorf("%s: files %v", path, files)
		}
	}
	must(t, storage.Dispose(t.Context(), open(moved)))
	if _, err := os.Stat(moved); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
}

// TestNewestSnapshot asks of snapshots of one run whether it has completed a checkpoint behind them.
func TestNewestSnapshot(t *testing.T) {
	dir := t.TempDir()
	s := storage.NewStore(open(dir + "/ckpt"))
	l, _ := lead(t, newRun(t, s, "job"), "a")
	seg, err := take(t.Context(), l, 4)
	must(t, err)
	save, m := writeSavepoint(t, l, dir) // 5
	stop := *m
	stop.Kind, stop.ID = checkpoint.Terminal, 6
	must(t, os.CopyFS(dir+"/stop", os.DirFS(save)))
	must(t, os.Remove(dir+"/stop/_metadata"))
	_, err = storage.WriteSavepoint(t.Context(), open(dir+"/stop"), &stop)
	must(t, err)
	run := dir + "/ckpt/job"
	newest := func(path string, want bool, store *storage.Store) {
		t.Helper()
		snap, err := storage.OpenSnapshot(t.Context(), open, path, verify)
		must(t, err)
		if got, err := snap.Newest(t.Context(), store); got != want || err != nil {
			t.Errorf("%s is the newest: %t, %v; want %t", path, got, err, want)
		}
	}
	four := run + "/chk/00000000000000000004.meta"
	newest(run, true, s)
	newest(four, true, s)
	newest(save, true, s)
	newest(save, false, storage.NewStore(storage.Memory())) // where nobody knows the run
	newest(dir+"/stop", true, storage.NewStore(storage.Memory()))

	_, _, err = l.Claim(t.Context(), 8, storage.Complete, checkpoint.Savepoint) // commits nothing
	must(t, err)
	_, _, err = l.Claim(t.Context(), 9, storage.Aborted, checkpoint.Periodic)
	must(t, err)
	newest(four, true, s)
	newest(save, true, s)
	_, err = take(t.Context(), l, 10, seg)
	must(t, err)
	newest(four, false, s)
	newest(save, false, s)
	newest(run, true, s)
	newest(dir+"/stop", true, s)

	// The checkpoints of a run that has ended may be gone.
	ended, _ := lead(t, newRun(t, s, "ended"), "a")
	at, _ := writeSavepoint(t, ended, dir)
	newest(at, true, s)
	must(t, ended.WriteResult(t.Context(), storage.Result{Status: "CANCELED"}))
	newest(at, false, s)
}

func TestSavepointNeedsNothingOutside(t *testing.T) {
	dir := t.TempDir()
	l, _ := lead(t, newRun(t, storage.NewStore(open(dir+"/ckpt")), "job"), "a")
	m := metadata(l, 1, checkpoint.Savepoint, checkpoint.Segment{Path: "/elsewhere/state/1"})
	if _, err := storage.WriteSavepoint(t.Context(), open(dir+"/s"), m); err == nil {
		t.Error("a savepoint refers to a file outside")
	}
}

func TestDamagedSavepointIsRefused(t *testing.T) {
	dir := t.TempDir()
	l, _ := lead(t, newRun(t, storage.NewStore(open(dir+"/ckpt")), "job"), "a")
	at, m := writeSavepoint(t, l, dir)
	state := filepath.Join(at, m.Files()[0])
	must(t, os.Truncate(state, 7))
	if _, err := storage.OpenSnapshot(t.Context(), open, at, verify); !errors.Is(err, checkpoint.ErrCorrupt) || !strings.Contains(err.Error(), state) {
		t.Errorf("cut state: %v", err)
	}
	must(t, os.Remove(state))
	if _, err := storage.OpenSnapshot(t.Context(), open, at, verify); !errors.Is(err, checkpoint.ErrCorrupt) || !strings.Contains(err.Error(), state) {
		t.Errorf("missing state: %v", err)
	}
}

func TestOpenSnapshotOfRuns(t *testing.T) {
	dir := t.TempDir()
	ckpt := dir + "/ckpt"
	r := newRun(t, storage.NewStore(open(ckpt)), "job")
	l, _ := lead(t, r, "a")
	if _, err := storage.OpenSnapshot(t.Context(), open, ckpt, verify); err == nil || !strings.Contains(err.Error(), "no complete checkpoint") {
		t.Errorf("a run without checkpoints: %v", err)
	}
	if _, err := storage.OpenSnapshot(t.Context(), open, dir, verify); !errors.Is(err, storage.ErrNotSnapshot) {
		t.Errorf("a directory of something else: %v", err)
	}
	_, err := take(t.Context(), l, 1)
	must(t, err)
	_, err = take(t.Context(), l, 2)
	must(t, err)

	s, err := storage.OpenSnapshot(t.Context(), open, ckpt, verify)
	must(t, err)
	if s.Metadata.ID != 2 || !strings.HasPrefix(s.Metadata.Files()[0], r.Location()+"/state/") {
		t.Errorf("opened %d with %v", s.Metadata.ID, s.Metadata.Files())
	}
	again, err := storage.OpenSnapshot(t.Context(), open, s.Path, verify)
	must(t, err)
	if again.Metadata.ID != 2 {
		t.Errorf("by its own path: %d", again.Metadata.ID)
	}
	byRun, err := storage.OpenSnapshot(t.Context(), open, r.Location(), verify)
	must(t, err)
	if byRun.Metadata.ID != 2 || byRun.Path != s.Path {
		t.Errorf("by the run: %d, %s", byRun.Metadata.ID, byRun.Path)
	}
}

func TestDiscardSavepoint(t *testing.T) {
	dir := t.TempDir()
	l, _ := lead(t, newRun(t, storage.NewStore(open(dir+"/ckpt")), "job"), "a")
	at, _ := writeSavepoint(t, l, dir)
	must(t, os.WriteFile(at+"/state/left-over", nil, 0o600))
	must(t, storage.DiscardSavepoint(t.Context(), open(at)))
	if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
}
