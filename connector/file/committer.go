// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/weir-stream/weir/connector"
)

// committer gives pending files their final names. Several may run at once: one that was deposed, and its successor.
type committer struct {
	dir  string
	disk disk
}

// Commit renames the files and makes that durable, also where an earlier call did it and may have died before the end.
func (c committer) Commit(ctx context.Context, committables []Pending) error {
	dirs := map[string]bool{}
	for _, p := range committables {
		dir, err := c.commit(p)
		if err := errors.Join(ctx.Err(), err); err != nil {
			return err
		}
		dirs[dir], dirs[filepath.Dir(filepath.Join(dir, p.Final))] = true, true
	}
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		if err := c.disk.SyncDir(dir); err != nil {
			return fmt.Errorf("commit the files of %s: %w", dir, err)
		}
	}
	return nil
}

// commit returns the directory where it found the file: the one it was written in, or the sink's own if that has been
// moved since. A run that began from the checkpoint of another commits what that one left, where it left it. If the
// sink's directory isn't there it may be a mount that comes back, so that is not for good.
func (c committer) commit(p Pending) (dir string, err error) {
	for _, dir := range []string{p.Dir, c.dir} {
		if found, err := c.commitIn(dir, p); found || err != nil {
			return dir, err
		}
	}
	if _, err := c.disk.Stat(c.dir); err != nil {
		return "", fmt.Errorf("commit %s: %w", filepath.Join(p.Dir, p.Final), err)
	}
	return "", fmt.Errorf("%w: neither the pending file %s nor the finished file %s exists",
		connector.ErrPermanent, filepath.Join(p.Dir, p.Temp), filepath.Join(p.Dir, p.Final))
}

// commitIn commits a file if it is in dir. Another committer may rename it while we look.
func (c committer) commitIn(dir string, p Pending) (found bool, err error) {
	temp, final := filepath.Join(dir, p.Temp), filepath.Join(dir, p.Final)
	if done, err := c.done(final, p.Size); done || err != nil {
		return done, err
	}
	info, err := c.disk.Stat(temp)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c.done(final, p.Size)
	case err != nil:
		return false, fmt.Errorf("commit %s: %w", final, err)
	case info.Size() != p.Size:
		return false, fmt.Errorf("%w: %s has %d bytes, it was prepared with %d", connector.ErrPermanent, temp, info.Size(), p.Size)
	}
	if inner := filepath.Dir(final); inner != dir {
		if err := makeDir(c.disk, inner); err != nil {
			return false, err
		}
	}
	err = c.disk.Rename(temp, final)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c.done(final, p.Size)
	case err != nil:
		return false, fmt.Errorf("commit %s: %w", final, err)
	}
	return true, nil
}

// done tells whether the finished file is there.
func (c committer) done(final string, size int64) (bool, error) {
	info, err := c.disk.Stat(final)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("commit %s: %w", final, err)
	case info.Size() != size:
		return false, fmt.Errorf("%w: %s exists with %d bytes, want %d", connector.ErrPermanent, final, info.Size(), size)
	}
	return true, nil
}

func (c committer) Close() error { return nil }

var _ connector.Committer[Pending] = committer{}
