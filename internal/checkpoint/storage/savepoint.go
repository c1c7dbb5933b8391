// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/weir-stream/weir/internal/checkpoint"
)

// savepointMeta is the name of a savepoint's metadata in its directory: it is there exactly if the savepoint is whole.
const savepointMeta = "_metadata"

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
	created, err := dir.Create(ctx, savepointMeta, b)
	if err == nil && !created {
		var there *checkpoint.Metadata // an earlier attempt of the same JobMaster
		if there, err = readMetadata(ctx, dir, savepointMeta); err == nil && (there.JobID != m.JobID || there.ID != m.ID || there.Epoch != m.Epoch) {
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
	case base == savepointMeta:
		return openSnapshot(ctx, open, dir, verify)
	case strings.HasSuffix(base, ".meta"):
		// RUN/chk/ID.meta
		return readSnapshot(ctx, open(strings.TrimSuffix(path.Dir(dir), "/")), path.Base(dir)+"/"+base, location, verify)
	}
	o := open(location)
	s, err := readSnapshot(ctx, o, savepointMeta, location, verify)
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
	at := checkpoint.Join(run.objects.Location(), run.metaName(rec.Metadata.ID))
	return &Snapshot{Metadata: rec.Metadata.Rebased(run.Location()), Path: at, Skipped: rec.Skipped}, nil
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

// Dispose removes a savepoint, its metadata first, so that it is never taken for whole.
func Dispose(ctx context.Context, dir Objects) error {
	m, err := readMetadata(ctx, dir, savepointMeta)
	if err == nil {
		err = dir.Remove(ctx, savepointMeta)
	}
	if err == nil {
		err = dir.Remove(ctx, m.Files()...)
	}
	if err == nil {
		err = errors.Join(dir.RemoveDir(ctx, "state"), dir.RemoveDir(ctx, "."))
	}
	if err != nil {
		return fmt.Errorf("dispose savepoint %s: %w", dir.Location(), err)
	}
	return nil
}

// DiscardSavepoint removes what an aborted savepoint has left in its directory; its metadata first, if it came so far.
func DiscardSavepoint(ctx context.Context, dir Objects) error {
	if err := dir.Remove(ctx, savepointMeta); err != nil {
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
