// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// disk is what the sink needs of a file system: tests put one that fails in its place.
type disk interface {
	// Create makes a file that must not exist.
	Create(name string) (durable, error)
	Rename(from, to string) error
	Remove(name string) error
	Stat(name string) (fs.FileInfo, error)
	ReadFile(name string) ([]byte, error)
	ReadDir(name string) ([]fs.DirEntry, error)
	MkdirAll(name string) error
	// SyncDir makes creations, renames and removals in a directory durable.
	SyncDir(name string) error
}

// durable is a file that is written once.
type durable interface {
	io.WriteCloser
	Sync() error
}

type osDisk struct{}

func (osDisk) Create(name string) (durable, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
}

func (osDisk) Rename(from, to string) error { return os.Rename(from, to) }

func (osDisk) Remove(name string) error { return os.Remove(name) }

func (osDisk) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

func (osDisk) ReadFile(name string) ([]byte, error) { return os.ReadFile(name) }

func (osDisk) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

func (osDisk) MkdirAll(name string) error { return os.MkdirAll(name, 0o755) }

func (osDisk) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir makes a directory, its parents and the entries for all of them durable. Whoever made one that is there already
// may have died before its entry was durable, but not before those of its parents were: so that one entry is made durable
// again, unless the parent is somebody else's, who made the directory.
func makeDir(d disk, dir string) error {
	parent := filepath.Dir(dir)
	if parent == dir {
		return nil
	}
	if info, err := d.Stat(dir); err == nil && info.IsDir() {
		if err := d.SyncDir(parent); err != nil && !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("make output directory %s durable: %w", dir, err)
		}
		return nil
	}
	if err := makeDir(d, parent); err != nil {
		return err
	}
	if err := d.MkdirAll(dir); err != nil {
		return fmt.Errorf("make output directory %s: %w", dir, err)
	}
	if err := d.SyncDir(parent); err != nil {
		return fmt.Errorf("make output directory %s durable: %w", dir, err)
	}
	return nil
}
