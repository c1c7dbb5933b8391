// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/weir-stream/weir/internal/checkpoint"
)

// WriteSavepoint copies the state files of a checkpoint into the directory of a savepoint and writes its metadata there.
// It returns the size of that.
func (l *Leader) WriteSavepoint(ctx context.Context, dir Objects, m *checkpoint.Metadata) (size int64, err error) {
	for _, p := range m.Files() {
		if err := copyObject(ctx, l.objects, l.path(p), dir, p); err != nil {
			return 0, fmt.Errorf("savepoint in %s: %w", dir.Location(), err)
		}
	}
	return WriteSavepoint(ctx, dir, m)
}

// copyObject makes a durable copy, in place of what an earlier attempt left.
func copyObject(ctx context.Context, from Objects, name string, to Objects, target string) error {
	if f, ok := from.(*files); ok {
		if t, ok := to.(*files); ok && f.fs == t.fs && linkFile(f, name, t, target) == nil {
			return nil
		}
	}
	if err := to.Remove(ctx, target); err != nil {
		return err
	}
	r, err := from.Open(ctx, name)
	if err != nil {
		return err
	}
	w, err := to.NewWriter(ctx, target)
	if err != nil {
		return errors.Join(err, r.Close())
	}
	if _, err = io.Copy(w, io.NewSectionReader(r, 0, r.Size())); err == nil {
		err = w.Close()
	}
	if err != nil {
		err = errors.Join(err, w.Abort())
	}
	return errors.Join(err, r.Close())
}

// linkFile gives a state file, which never changes, a second name: on one file system that is a copy without its cost.
func linkFile(f *files, name string, t *files, target string) error {
	p := t.path(target)
	if err := t.ensureDir(filepath.Dir(p)); err != nil {
		return err
	}
	// What an earlier attempt left may be an incomplete copy.
	if err := t.fs.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := t.fs.Link(f.path(name), p); err != nil {
		return err
	}
	return t.fs.SyncDir(filepath.Dir(p))
}
