// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package faultfs is a file system in memory for tests of what storage promises: it keeps apart what was written from
// what was synced, and crashes, fails, fills up and stops between any two operations.
//
//	Disk                       shared content: names and data, each with what of it is durable
//	  FS, FS ...               views, one a process: Before and After each operation
//	  Crash(seed) -> Disk      what a machine finds after a power failure
//
// A crash keeps all that was synced, and of the rest what the seed picks: a name whose directory wasn't synced since it
// changed is bound as before or as now, each by itself; data that wasn't synced is cut anywhere. That is harsher than
// file systems of today are.
//
// Non-obvious: a rename that wasn't synced may survive as neither of its two halves, or as both.
package faultfs

import (
	"errors"
	"hash/fnv"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/weir-stream/weir/internal/checkpoint/storage"
)

// ErrCrashed is what every operation on a disk returns after its Crash.
var ErrCrashed = errors.New("crashed")

// Disk is what views share.
type Disk struct {
	mu struct {
		sync.Mutex
		root    *node
		crashed bool
		limit   int64 // bytes that can still be written, if limited
		limited bool
	}
}

// node is a directory or a file.
type node struct {
	dir bool
	// names is what a directory holds, durable what it held when it was synced.
	names, durable map[string]*node
	// data of a file, of which the first synced bytes are durable.
	data   []byte
	synced int
}

func newDir() *node { return &node{dir: true, names: map[string]*node{}, durable: map[string]*node{}} }

// New returns an empty disk.
func New() *Disk {
	d := &Disk{}
	d.mu.root = newDir()
	return d
}

// Limit makes the disk full after n more bytes; a negative n frees it.
func (d *Disk) Limit(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.limit, d.mu.limited = n, n >= 0
}

// Crash ends the disk, and returns the one that is found after the power is back.
func (d *Disk) Crash(seed uint64) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.crashed = true
	after := New()
	after.mu.root = survive(d.mu.root, seed, "/", map[*node]*node{})
	return after
}

// survive copies what is left of n. What is picked depends on seed and path only.
func survive(n *node, seed uint64, at string, done map[*node]*node) *node {
	if c, ok := done[n]; ok {
		return c
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(at))
	rng := rand.New(rand.NewPCG(seed, h.Sum64()))
	if !n.dir {
		keep := n.synced
		if rest := len(n.data) - n.synced; rest > 0 {
			keep += rng.IntN(rest + 1)
		}
		c := &node{data: slices.Clone(n.data[:keep]), synced: keep}
		done[n] = c
		return c
	}
	c := newDir()
	all := maps.Clone(n.durable)
	maps.Copy(all, n.names)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		now, old := n.names[name], n.durable[name]
		pick := old
		if now != old && rng.IntN(2) == 0 {
			pick = now
		}
		if pick != nil {
			c.names[name] = survive(pick, seed, path.Join(at, name), done)
		}
	}
	c.durable = maps.Clone(c.names)
	return c
}

// Tree lists all files, sorted, with their content.
func (d *Disk) Tree() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	tree := map[string]string{}
	var walk func(n *node, at string)
	walk = func(n *node, at string) {
		for name, c := range n.names {
			if p := path.Join(at, name); c.dir {
				walk(c, p)
			} else {
				tree[p] = string(c.data)
			}
		}
	}
	walk(d.mu.root, "/")
	return tree
}

// Damage changes a file behind everyone's back.
func (d *Disk) Damage(name string, change func([]byte) []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find(name)
	if err != nil {
		return err
	}
	n.data = change(slices.Clone(n.data))
	n.synced = len(n.data)
	return nil
}

func pathError(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// find walks to a name; d.mu is held.
func (d *Disk) find(name string) (*node, error) {
	n := d.mu.root
	for p := range strings.SplitSeq(strings.Trim(path.Clean("/"+name), "/"), "/") {
		if p == "" {
			continue
		}
		if !n.dir {
			return nil, pathError("find", name, syscall.ENOTDIR)
		}
		if n = n.names[p]; n == nil {
			return nil, pathError("find", name, fs.ErrNotExist)
		}
	}
	return n, nil
}

// parent returns the directory of a name; d.mu is held.
func (d *Disk) parent(name string) (*node, string, error) {
	dir, base := path.Split(path.Clean("/" + name))
	n, err := d.find(dir)
	if err == nil && !n.dir {
		err = pathError("find", name, syscall.ENOTDIR)
	}
	return n, base, err
}

// Op is one operation of a view, numbered from 1.
type Op struct {
	N    int
	Kind string // mkdir, create, open, link, rename, remove, readdir, syncdir, write, read, sync, size
	Name string
}

// FS is a view of a disk. Its hooks may be nil; they run without a lock, so they may block, or use the disk by other
// views.
type FS struct {
	disk *Disk
	// Before may fail an operation, which then has no effect; After may report one as failed that has happened.
	Before, After func(Op) error
	mu            struct {
		sync.Mutex
		n int
	}
}

var _ storage.FS = (*FS)(nil)

// View opens a view.
func (d *Disk) View() *FS { return &FS{disk: d} }

// Ops is the number of operations so far.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.n
}

func (f *FS) do(kind, name string, op func(d *Disk) error) error {
	f.mu.Lock()
	f.mu.n++
	o := Op{f.mu.n, kind, name}
	f.mu.Unlock()
	if f.Before != nil {
		if err := f.Before(o); err != nil {
			return pathError(kind, name, err)
		}
	}
	if err := f.locked(op); err != nil {
		return err
	}
	if f.After != nil {
		if err := f.After(o); err != nil {
			return pathError(kind, name, err)
		}
	}
	return nil
}

func (f *FS) locked(op func(d *Disk) error) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.mu.crashed {
		return ErrCrashed
	}
	return op(f.disk)
}

// bind gives n a name that must not be taken.
func (d *Disk) bind(op, name string, n *node) error {
	dir, base, err := d.parent(name)
	if err != nil {
		return err
	}
	if dir.names[base] != nil {
		return pathError(op, name, fs.ErrExist)
	}
	dir.names[base] = n
	return nil
}

// Mkdir makes a directory.
func (f *FS) Mkdir(name string) error {
	return f.do("mkdir", name, func(d *Disk) error { return d.bind("mkdir", name, newDir()) })
}

// Create makes a file.
func (f *FS) Create(name string) (storage.File, error) {
	n := &node{}
	if err := f.do("create", name, func(d *Disk) error { return d.bind("create", name, n) }); err != nil {
		return nil, err
	}
	return &file{f, n, name}, nil
}

// Open opens a file.
func (f *FS) Open(name string) (storage.File, error) {
	var n *node
	err := f.do("open", name, func(d *Disk) (err error) {
		n, err = d.find(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &file{f, n, name}, nil
}

// Link gives a file a second name.
func (f *FS) Link(name, second string) error {
	return f.do("link", second, func(d *Disk) error {
		n, err := d.find(name)
		if err != nil {
			return err
		}
		return d.bind("link", second, n)
	})
}

// Rename renames a file, over another if it is there.
func (f *FS) Rename(name, to string) error {
	return f.do("rename", to, func(d *Disk) error {
		n, err := d.find(name)
		if err != nil {
			return err
		}
		from, base, err := d.parent(name)
		if err != nil {
			return err
		}
		target, newBase, err := d.parent(to)
		if err != nil {
			return err
		}
		delete(from.names, base)
		target.names[newBase] = n
		return nil
	})
}

// Remove removes a file or an empty directory.
func (f *FS) Remove(name string) error {
	return f.do("remove", name, func(d *Disk) error {
		n, err := d.find(name)
		if err != nil {
			return err
		}
		if n.dir && len(n.names) > 0 {
			return pathError("remove", name, syscall.ENOTEMPTY)
		}
		dir, base, err := d.parent(name)
		if err != nil {
			return err
		}
		delete(dir.names, base)
		return nil
	})
}

// ReadDir lists a directory.
func (f *FS) ReadDir(name string) (names []string, err error) {
	err = f.do("readdir", name, func(d *Disk) error {
		n, err := d.find(name)
		if err == nil && !n.dir {
			err = pathError("readdir", name, syscall.ENOTDIR)
		}
		if err != nil {
			return err
		}
		names = slices.Collect(maps.Keys(n.names))
		return nil
	})
	return names, err
}

// SyncDir makes the names in a directory durable.
func (f *FS) SyncDir(name string) error {
	return f.do("syncdir", name, func(d *Disk) error {
		n, err := d.find(name)
		if err != nil {
			return err
		}
		n.durable = maps.Clone(n.names)
		return nil
	})
}

type file struct {
	fs   *FS
	n    *node
	name string
}

func (f *file) Write(b []byte) (written int, err error) {
	err = f.fs.do("write", f.name, func(d *Disk) error {
		written = len(b)
		if d.mu.limited {
			written = int(min(int64(len(b)), d.mu.limit))
			d.mu.limit -= int64(written)
		}
		f.n.data = append(f.n.data, b[:written]...)
		if written < len(b) {
			return pathError("write", f.name, syscall.ENOSPC)
		}
		return nil
	})
	return written, err
}

func (f *file) ReadAt(b []byte, off int64) (n int, err error) {
	err = f.fs.do("read", f.name, func(*Disk) error {
		if off > int64(len(f.n.data)) {
			return io.EOF
		}
		if n = copy(b, f.n.data[off:]); n < len(b) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (f *file) Sync() error {
	return f.fs.do("sync", f.name, func(*Disk) error {
		f.n.synced = len(f.n.data)
		return nil
	})
}

func (f *file) Size() (size int64, err error) {
	err = f.fs.do("size", f.name, func(*Disk) error {
		if f.n.dir {
			return pathError("size", f.name, syscall.EISDIR)
		}
		size = int64(len(f.n.data))
		return nil
	})
	return size, err
}

func (*file) Close() error { return nil }
