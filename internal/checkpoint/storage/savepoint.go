// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/weir-stream/weir/internal/checkpoint"
)

// SavepointMetadata is the name of a savepoint's metadata in its directory: it is there exactly if the savepoint is whole.
const SavepointMetadata = "_metadata"

// WriteSavepoint stores the metadata of a savepoint in its directory, whose state files are written. Paths are relative
// to the directory, so that it can be moved; all it needs is in it.
func WriteSavepoint(ctx context.Context, dir Objects, m *checkpoint.Metadata) (size int64, err error) {
	for _, f := range m.Files() {
		if checkpoint.IsAbs(f) {
			return 0, fmt.Errorf("savepoint in %s: it needs %s, outside", dir.Location(), f)
		}
	}
	b, err := m.Encode()
	if err != nil {
		return 0, err
	}
	created, err := dir.Create(ctx, SavepointMetadata, b)
	if err == nil && !created {
		var there *checkpoint.Metadata // an earlier attempt of the same JobMaster
		if there, err = readMetadata(ctx, dir, SavepointMetadata); err == nil && (there.JobID != m.JobID || there.ID != m.ID || there.Epoch != m.Epoch) {
			err = fmt.Errorf("%w: it holds checkpoint %d of job %s", fs.ErrExist, there.ID, there.JobID)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("savepoint in %s: %w", dir.Location(), err)
	}
	return int64(len(b)), nil
}

// Snapshot is a savepoint or checkpoint that a new run begins from. It stays another's: nothing of it is changed.
type Snapshot struct {
	// Metadata has absolute paths only.
	Metadata *checkpoint.Metadata
	// Path is what was opened, absolute.
	Path string
	// Skipped says which newer checkpoints of a run can't be read.
	Skipped []error
	// run is where the checkpoint was found; nil for a savepoint, which does not know where its run is.
	run *Run
}

// Newest reports whether the run that took the snapshot is known to have completed no checkpoint behind it, so that the
// snapshot holds all that the run has committed. The run of a savepoint that did not stop its job is looked for in store.
func (s *Snapshot) Newest(ctx context.Context, store *Store) (bool, error) {
	newest, err := s.newest(ctx, store)
	if err != nil {
		return false, fmt.Errorf("look for newer checkpoints than %s: %w", s.Path, err)
	}
	return newest, nil
}

func (s *Snapshot) newest(ctx context.Context, store *Store) (bool, error) {
	m, run := s.Metadata, s.run
	if m.Kind.EndsJob() {
		return true, nil
	}
	if m.Kind == checkpoint.Savepoint {
		var err error
		run, err = store.Run(ctx, m.JobID)
		if errors.Is(err, ErrNoRun) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		// A run that has ended may have removed the checkpoints that would tell.
		if ended, err := run.Result(ctx); err != nil || ended != nil {
			return false, err
		}
	}
	ids, err := run.complete(ctx)
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		if id <= m.ID {
			continue
		}
		mark, err := run.marker(ctx, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted since it was listed
		}
		if err != nil {
			return false, err
		}
		if mark.Decision == Complete && mark.Kind.Recoverable() {
			return false, nil
		}
	}
	return true, nil
}

// OpenSnapshot finds what a path to restore from names: a savepoint's directory or its metadata file, a checkpoint's
// metadata file (.meta), a run's directory, or a checkpoint directory (the newest checkpoint of the newest run).
func OpenSnapshot(ctx context.Context, open func(location string) Objects, location string, verify Verify) (*Snapshot, error) {
	s, err := openSnapshot(ctx, open, strings.TrimSuffix(location, "/"), verify)
	if err != nil {
		return nil, fmt.Errorf("restore from %s: %w", location, err)
	}
	return s, nil
}

func openSnapshot(ctx context.Context, open func(string) Objects, location string, verify Verify) (*Snapshot, error) {
	dir, base := path.Split(location)
	dir = strings.TrimSuffix(dir, "/")
	switch {
	case base == SavepointMetadata:
		return openSnapshot(ctx, open, dir, verify)
	case strings.HasSuffix(base, ".meta"):
		// RUN/chk/ID.meta
		o := open(strings.TrimSuffix(path.Dir(dir), "/"))
		s, err := readSnapshot(ctx, o, path.Base(dir)+"/"+base, location, verify)
		if err != nil {
			return nil, err
		}
		s.run = newRun(o, "", RunInfo{JobID: s.Metadata.JobID})
		return s, nil
	}
	o := open(location)
	s, err := readSnapshot(ctx, o, SavepointMetadata, location, verify)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	var run *Run
	var info RunInfo
	err = GetRecord(ctx, o, "run", "run", &info)
	switch {
	case err == nil:
		run = newRun(o, "", info)
	case errors.Is(err, fs.ErrNotExist):
		if run, err = NewStore(o).LatestRun(ctx); errors.Is(err, ErrNoRun) {
			return nil, ErrNotSnapshot
		}
	}
	if err != nil {
		return nil, err
	}
	rec, err := run.Latest(ctx, verify)
	if err != nil {
		return nil, err
	}
	if rec.Metadata == nil {
		return nil, fmt.Errorf("run %s has no complete checkpoint", run.info.JobID)
	}
	// The path of the checkpoint, not of the run: beginning again means from the same.
	return &Snapshot{Metadata: rec.Metadata.Rebased(run.Location()), Path: run.MetadataPath(rec.Metadata.ID), Skipped: rec.Skipped, run: run}, nil
}

func readSnapshot(ctx context.Context, o Objects, name, location string, verify Verify) (*Snapshot, error) {
	m, err := readMetadata(ctx, o, name)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{Metadata: m.Rebased(o.Location()), Path: location}
	err = CheckFiles(ctx, s.Metadata, o.Open, verify)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: a state file is missing: %w", checkpoint.ErrCorrupt, noNotExist{err})
	}
	return s, err
}

// noNotExist hides from errors.Is what kind of error it holds.
type noNotExist struct{ err error }

func (e noNotExist) Error() string { return e.err.Error() }

// Dispose removes a savepoint, its metadata first, so that it is never taken for whole. The error is ErrNotSnapshot if
// there is none.
func Dispose(ctx context.Context, dir Objects) error {
	if err := dispose(ctx, dir); err != nil {
		return fmt.Errorf("dispose savepoint %s: %w", dir.Location(), err)
	}
	return nil
}

func dispose(ctx context.Context, dir Objects) error {
	m, err := readMetadata(ctx, dir, SavepointMetadata)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotSnapshot
	}
	if err != nil {
		return err
	}
	files := m.Files()
	for _, f := range files {
		// Metadata may come from anywhere: what it names outside its directory is not its own.
		if checkpoint.IsAbs(f) || !filepath.IsLocal(filepath.FromSlash(f)) {
			return fmt.Errorf("%w: it refers to %s, outside", checkpoint.ErrCorrupt, f)
		}
	}
	if err := dir.Remove(ctx, SavepointMetadata); err != nil {
		return err
	}
	if err := dir.Remove(ctx, files...); err != nil {
		return err
	}
	return errors.Join(dir.RemoveDir(ctx, "state"), dir.RemoveDir(ctx, "."))
}

// DiscardSavepoint removes what an aborted savepoint has left in its directory; its metadata first, if it came so far.
func DiscardSavepoint(ctx context.Context, dir Objects) error {
	if err := dir.Remove(ctx, SavepointMetadata); err != nil {
		return err
	}
	names, err := dir.List(ctx, "state")
	if err != nil {
		return err
	}
	for i := range names {
		names[i] = "state/" + names[i]
	}
	return errors.Join(dir.Remove(ctx, names...), dir.RemoveDir(ctx, "state"), dir.RemoveDir(ctx, "."))
}
