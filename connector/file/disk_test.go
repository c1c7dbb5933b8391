// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/weir-stream/weir/format"
)

// memDisk is a disk in memory, which fails on demand.
type memDisk struct {
	mu    sync.Mutex
	files map[string]*bytes.Buffer
	dirs  map[string]bool
	// fail is asked before each operation; name is the base name of the file.
	fail func(op, name string) error
	log  []string
}

func newMemDisk() *memDisk {
	return &memDisk{files: map[string]*bytes.Buffer{}, dirs: map[string]bool{}}
}

// op begins an operation on files below a directory that must exist.
func (d *memDisk) op(op, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, op+" "+filepath.Base(name))
	if d.fail != nil {
		if err := d.fail(op, filepath.Base(name)); err != nil {
			return &fs.PathError{Op: op, Path: name, Err: err}
		}
	}
	if op != "mkdir" && op != "stat" && !d.dirs[filepath.Dir(name)] && !d.dirs[name] {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return nil
}

func (d *memDisk) Create(name string) (durable, error) {
	if err := d.op("create", name); err != nil {
		return nil, err
	}
	if _, ok := d.files[name]; ok {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	d.files[name] = &bytes.Buffer{}
	return &memFile{d, name, d.files[name]}, nil
}

func (d *memDisk) Rename(from, to string) error {
	if err := d.op("rename", from); err != nil {
		return err
	}
	f, ok := d.files[from]
	if !ok {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	if !d.dirs[filepath.Dir(to)] {
		return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrNotExist}
	}
	delete(d.files, from)
	d.files[to] = f
	return nil
}

func (d *memDisk) Remove(name string) error {
	if err := d.op("remove", name); err != nil {
		return err
	}
	if _, ok := d.files[name]; !ok {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	delete(d.files, name)
	return nil
}

func (d *memDisk) Stat(name string) (fs.FileInfo, error) {
	if err := d.op("stat", name); err != nil {
		return nil, err
	}
	f, ok := d.files[name]
	switch {
	case d.dirs[name]:
		return fs.Stat(fstest.MapFS{"d": &fstest.MapFile{Mode: fs.ModeDir}}, "d")
	case !ok:
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return fs.Stat(fstest.MapFS{"f": &fstest.MapFile{Data: f.Bytes()}}, "f")
}

func (d *memDisk) ReadFile(name string) ([]byte, error) {
	if err := d.op("read", name); err != nil {
		return nil, err
	}
	f, ok := d.files[name]
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return f.Bytes(), nil
}

func (d *memDisk) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := d.op("readdir", name); err != nil {
		return nil, err
	}
	m := fstest.MapFS{}
	for f := range d.files {
		if filepath.Dir(f) == name {
			m[filepath.Base(f)] = &fstest.MapFile{}
		}
	}
	for dir := range d.dirs {
		if filepath.Dir(dir) == name && dir != name {
			m[filepath.Base(dir)] = &fstest.MapFile{Mode: fs.ModeDir}
		}
	}
	return m.ReadDir(".")
}

func (d *memDisk) MkdirAll(name string) error {
	if err := d.op("mkdir", name); err != nil {
		return err
	}
	d.dirs[name], d.dirs[filepath.Dir(name)] = true, true
	return nil
}

func (d *memDisk) SyncDir(name string) error { return d.op("syncdir", name) }

// names lists the files in order.
func (d *memDisk) names() []string {
	var all []string
	for f := range d.files {
		all = append(all, filepath.Base(f))
	}
	slices.Sort(all)
	return all
}

type memFile struct {
	disk *memDisk
	name string
	data *bytes.Buffer
}

func (f *memFile) Write(p []byte) (int, error) {
	if err := f.disk.op("write", f.name); err != nil {
		n := len(p) / 2 // a full disk takes what it can
		f.data.Write(p[:n])
		return n, err
	}
	return f.data.Write(p)
}

func (f *memFile) Sync() error  { return f.disk.op("sync", f.name) }
func (f *memFile) Close() error { return f.disk.op("close", f.name) }

// finished decodes the files that have their final names.
func finished[T any](t testing.TB, d *memDisk, dec format.Decoder[T]) []T {
	t.Helper()
	var rows []T
	for _, name := range slices.Sorted(maps.Keys(d.files)) {
		if strings.HasPrefix(filepath.Base(name), ".") {
			continue
		}
		got, err := decodeAll(dec, d.files[name].Bytes())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(got) == 0 {
			t.Errorf("%s has no records", name)
		}
		rows = append(rows, got...)
	}
	return rows
}

func decodeAll[T any](dec format.Decoder[T], text []byte) ([]T, error) {
	if !dec.Headless() {
		n, err := dec.Head(text, true)
		if err != nil {
			return nil, err
		}
		text = text[n:]
	}
	var rows []T
	for len(text) > 0 {
		var row T
		n, err := dec.Decode(text, true, &row)
		if err != nil {
			return rows, err
		}
		if n == 0 {
			return rows, fmt.Errorf("no progress at %q", text)
		}
		rows, text = append(rows, row), text[n:]
	}
	return rows, nil
}

var _ disk = (*memDisk)(nil)
