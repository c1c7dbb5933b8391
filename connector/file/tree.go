// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// tree is where files are read from: the file system of the machine where fsys is nil.
type tree struct{ fsys fs.FS }

// ErrNoFile is wrapped by the error for a pattern that matches nothing.
var ErrNoFile = errors.New("no file matches")

// list finds the files that a pattern names, in the order of their names, without those that are empty.
func (t tree) list(pattern string) ([]File, error) {
	paths, err := t.match(pattern)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", pattern, err)
	}
	slices.Sort(paths)
	var files []File
	found := false
	for _, p := range paths {
		info, err := t.stat(p)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", pattern, err)
		}
		if !info.Mode().IsRegular() {
			continue
		}
		found = true
		if info.Size() > 0 {
			files = append(files, File{Path: p, Size: info.Size()})
		}
	}
	if !found {
		return nil, fmt.Errorf("%w %q", ErrNoFile, pattern)
	}
	return files, nil
}

// match returns the path itself, the content of the directory, or what the glob matches; some of it may be no files.
func (t tree) match(pattern string) ([]string, error) {
	clean, base := filepath.Clean, filepath.Base
	if t.fsys != nil {
		clean, base = path.Clean, path.Base
	}
	name := clean(pattern)
	info, err := t.stat(name)
	switch {
	case err == nil && !info.IsDir():
		return []string{name}, nil
	case err == nil:
		return t.content(name)
	}
	paths, err := t.glob(name)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(base(name), ".") {
		return paths, nil
	}
	return slices.DeleteFunc(paths, func(p string) bool { return strings.HasPrefix(base(p), ".") }), nil
}

// content lists a directory, without hidden names.
func (t tree) content(dir string) ([]string, error) {
	entries, err := t.readDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if t.fsys != nil {
			paths = append(paths, path.Join(dir, e.Name()))
		} else {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

func (t tree) stat(name string) (fs.FileInfo, error) {
	if t.fsys != nil {
		return fs.Stat(t.fsys, name)
	}
	return os.Stat(name)
}

func (t tree) readDir(name string) ([]fs.DirEntry, error) {
	if t.fsys != nil {
		return fs.ReadDir(t.fsys, name)
	}
	return os.ReadDir(name)
}

func (t tree) glob(pattern string) ([]string, error) {
	if t.fsys != nil {
		return fs.Glob(t.fsys, pattern)
	}
	return filepath.Glob(pattern)
}

func (t tree) open(name string) (fs.File, error) {
	if t.fsys != nil {
		return t.fsys.Open(name)
	}
	return os.Open(name)
}

// compressed tells by the suffix whether a file is read through a decompressor.
func compressed(name string) bool {
	return strings.HasSuffix(name, ".gz") || strings.HasSuffix(name, ".zst")
}

// stream is an open file: its decompressed bytes.
type stream struct {
	file fs.File
	// body is file, or the decompressor over it.
	body io.Reader
	zstd *zstd.Decoder
}

func (t tree) stream(name string) (*stream, error) {
	f, err := t.open(name)
	if err != nil {
		return nil, err
	}
	s := &stream{file: f, body: f}
	switch {
	case strings.HasSuffix(name, ".gz"):
		s.body, err = gzip.NewReader(f)
	case strings.HasSuffix(name, ".zst"):
		// One goroutine, the caller's: the reader's own thread is the concurrency.
		s.zstd, err = zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
		s.body = s.zstd
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	return s, nil
}

func (s *stream) close() error {
	if s.zstd != nil {
		s.zstd.Close()
	}
	return s.file.Close()
}

// skip moves from a position of the stream to a later one; it returns how far it came.
func (s *stream) skip(at, to int64) (int64, error) {
	if seeker, ok := s.body.(io.Seeker); ok {
		return seeker.Seek(to, io.SeekStart)
	}
	n, err := io.CopyN(io.Discard, s.body, to-at)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return at + n, err
}
