// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// LogReadBytesMax bounds what one request reads of a log; logFilesListed how many files a list names.
const (
	LogReadBytesMax = 1 << 20
	logFilesListed  = 10_000
)

// LogDir is a directory of logs that others may read: nothing outside of it is reached, by whatever name or link.
type LogDir struct{ root *os.Root }

// OpenLogDir opens a directory, which is made if it is missing.
func OpenLogDir(dir string) (*LogDir, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of logs: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the directory of logs: %w", err)
	}
	return &LogDir{root}, nil
}

// Close closes the directory.
func (d *LogDir) Close() error { return d.root.Close() }

// List names all files in and below the directory, by path with slashes.
func (d *LogDir) List() ([]*weirpb.LogFile, error) {
	var files []*weirpb.LogFile
	err := fs.WalkDir(d.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // it was removed meanwhile
		case err != nil:
			return err
		case !e.Type().IsRegular():
			return nil
		case len(files) == logFilesListed:
			return fs.SkipAll
		}
		info, err := e.Info()
		if err != nil {
			return nil //nolint:nilerr // it was removed meanwhile
		}
		files = append(files, &weirpb.LogFile{Name: name, Size: info.Size(), ModifiedUnixMillis: info.ModTime().UnixMilli()})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	return files, nil
}

// Read returns a part of a file, where it begins and how long the file is. The error wraps fs.ErrNotExist where there is
// no such file, or the name is none of a file in the directory.
func (d *LogDir) Read(r *weirpb.ReadLog) (data []byte, offset, size int64, err error) {
	name := r.GetName()
	if !fs.ValidPath(name) || path.Clean(name) != name {
		return nil, 0, 0, fmt.Errorf("log %q: %w", name, fs.ErrNotExist)
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("log %q: %w", name, fs.ErrNotExist)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, 0, 0, fmt.Errorf("log %q: %w", name, fs.ErrNotExist)
	}
	size = info.Size()
	if offset = r.GetOffset(); offset < 0 {
		offset = max(0, size+offset)
	}
	offset = min(offset, size)
	most := int64(r.GetBytesMax())
	if most <= 0 || most > LogReadBytesMax {
		most = LogReadBytesMax
	}
	data = make([]byte, min(most, size-offset))
	n, err := f.ReadAt(data, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, 0, fmt.Errorf("log %q: %w", name, err)
	}
	return data[:n], offset, size, nil
}
