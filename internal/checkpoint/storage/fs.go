// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// FS is what storage needs of a file system. Errors are those of io/fs. Tests put one below it that crashes and fails.
type FS interface {
	// Mkdir makes one directory; its parent must exist.
	Mkdir(dir string) error
	// Create makes a file, which must not exist, for writing.
	Create(name string) (File, error)
	Open(name string) (File, error)
	// Link gives a file a second name, and fails with fs.ErrExist if that is taken: one of several callers wins.
	Link(name, second string) error
	// Rename replaces what has the new name.
	Rename(name, to string) error
	Remove(name string) error
	// ReadDir returns the names in a directory, in any order.
	ReadDir(dir string) ([]string, error)
	// SyncDir makes durable which names a directory has. It doesn't sync their content.
	SyncDir(dir string) error
}

// File is an open file.
type File interface {
	io.Writer
	io.ReaderAt
	io.Closer
	// Sync makes durable what was written, but not the name.
	Sync() error
	Size() (int64, error)
}

// OS is the file system of the machine. Who may read what it makes is left to the process's mask.
func OS() FS { return osFS{dir: 0o777, file: 0o666} }

// Private is OS, but what it makes is for the user of the process alone.
func Private() FS { return osFS{dir: 0o700, file: 0o600} }

// osFS has the modes of what it makes.
type osFS struct{ dir, file fs.FileMode }

func (f osFS) Mkdir(dir string) error       { return os.Mkdir(dir, f.dir) }
func (osFS) Link(name, second string) error { return os.Link(name, second) }
func (osFS) Rename(name, to string) error   { return os.Rename(name, to) }
func (osFS) Remove(name string) error       { return os.Remove(name) }
func (osFS) Open(name string) (File, error) { return openFile(os.Open(name)) }
func (f osFS) Create(name string) (File, error) {
	return openFile(os.OpenFile(name, createFlags, f.file))
}

const createFlags = os.O_WRONLY | os.O_CREATE | os.O_EXCL

func (osFS) ReadDir(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	return names, errors.Join(err, d.Close())
}

func (osFS) SyncDir(dir string) error {
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// writebackBytes is how much of a file is written before its disk is told to begin: small files are not worth the call.
const writebackBytes = 8 << 20

// osFile has its disk work while it is written. Else a large file would lie in the system's memory, while the disk is idle,
// until Sync, which would then take as long as the disk needs for all of it.
type osFile struct {
	*os.File
	// The disk has been told of the first begun of written bytes.
	written, begun int64
	begin          func(f *os.File, from, bytes int64)
}

// Write implements io.Writer.
func (f *osFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	f.written += int64(n)
	if f.written-f.begun >= writebackBytes {
		f.begin(f.File, f.begun, f.written-f.begun)
		f.begun = f.written
	}
	return n, err
}

func openFile(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return &osFile{File: f, begin: beginWriteback}, nil
}

// Size is that of a regular file; a directory is an error, so that it is not taken for one.
func (f *osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if st.IsDir() {
		return 0, &os.PathError{Op: "read", Path: f.Name(), Err: errors.New("is a directory")}
	}
	return st.Size(), nil
}
