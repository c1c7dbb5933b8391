// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/weir-stream/weir/connector"
)

// committer gives pending files their final names. Several may run at once: one that was deposed, and its successor.
type committer struct {
	dir  string
	disk disk
}

// Commit renames the files and makes that durable, also where an earlier call did it and may have died before the end.
func (c committer) Commit(ctx context.Context, committables []Pending) error {
	if len(committables) == 0 {
		return nil
	}
	for _, p := range committables {
		if err := errors.Join(ctx.Err(), c.commit(p)); err != nil {
			return err
		}
	}
	if err := c.disk.SyncDir(c.dir); err != nil {
		return fmt.Errorf("commit the files of %s: %w", c.dir, err)
	}
	return nil
}

func (c committer) commit(p Pending) error {
	temp, final := filepath.Join(c.dir, p.Temp), filepath.Join(c.dir, p.Final)
	if done, err := c.done(final, p.Size); done || err != nil {
		return err
	}
	info, err := c.disk.Stat(temp)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c.missing(temp, final, p.Size)
	case err != nil:
		return fmt.Errorf("commit %s: %w", final, err)
	case info.Size() != p.Size:
		return fmt.Errorf("%w: %s has %d bytes, it was prepared with %d", connector.ErrPermanent, temp, info.Size(), p.Size)
	}
	err = c.disk.Rename(temp, final)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c.missing(temp, final, p.Size)
	case err != nil:
		return fmt.Errorf("commit %s: %w", final, err)
	}
	return nil
}

// missing decides about a pending file that isn't there: another committer may have renamed it since we looked. A
// directory that isn't there either may be a mount that comes back, so that is not for good.
func (c committer) missing(temp, final string, size int64) error {
	if done, err := c.done(final, size); done || err != nil {
		return err
	}
	if _, err := c.disk.Stat(c.dir); err != nil {
		return fmt.Errorf("commit %s: %w", final, err)
	}
	return fmt.Errorf("%w: neither the pending file %s nor the finished file %s exists", connector.ErrPermanent, temp, final)
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
