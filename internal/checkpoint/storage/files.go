// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/weir-stream/weir/internal/checkpoint"
)

// Files keeps objects as files below root, which is made when it is needed. A relative root is relative to the working
// directory; make it absolute where metadata is to refer to it.
func Files(fsys FS, root string) Objects {
	f := &files{fs: fsys, root: filepath.Clean(root)}
	f.mu.known = map[string]bool{}
	return f
}

// files makes small objects under a temporary name in the same directory, which begins with a dot, syncs them and then
// links or renames: so each is there whole or not at all. A temporary file that a crash left behind is nobody's.
type files struct {
	fs   FS
	root string
	mu   struct {
		sync.Mutex
		known map[string]bool // directories that are there for good
	}
}

var _ Objects = (*files)(nil)

func (f *files) Location() string { return f.root }

func (f *files) path(name string) string {
	if checkpoint.IsAbs(name) {
		return filepath.FromSlash(name)
	}
	return filepath.Join(f.root, filepath.FromSlash(name))
}

func (f *files) Create(ctx context.Context, name string, data []byte) (bool, error) {
	created := false
	err := f.publish(ctx, name, data, func(temp, target string) error {
		err := f.fs.Link(temp, target)
		if created = err == nil; errors.Is(err, fs.ErrExist) {
			return nil // also then the name is synced: the loser may rely on what the winner made
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("create %s: %w", f.path(name), err)
	}
	return created, nil
}

func (f *files) Put(ctx context.Context, name string, data []byte) error {
	if err := f.publish(ctx, name, data, f.fs.Rename); err != nil {
		return fmt.Errorf("write %s: %w", f.path(name), err)
	}
	return nil
}

func (f *files) Refresh(ctx context.Context, name string, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	temp, err := f.writeTemp(f.path(name), data, false)
	if err == nil {
		if err = f.fs.Rename(temp, f.path(name)); err != nil {
			_ = f.fs.Remove(temp) // garbage that a take-over sweeps
		}
	}
	if err != nil {
		return fmt.Errorf("refresh %s: %w", f.path(name), err)
	}
	return nil
}

// publishTries is how often a temporary file is made again that a new Leader swept away while its maker slept.
const publishTries = 4

// publish writes and syncs a temporary file, has place give it its name, and syncs that.
func (f *files) publish(ctx context.Context, name string, data []byte, place func(temp, target string) error) (err error) {
	for range publishTries {
		if err := ctx.Err(); err != nil {
			return err
		}
		var temp string
		if temp, err = f.writeTemp(f.path(name), data, true); err != nil {
			return err
		}
		err = place(temp, f.path(name))
		if err == nil {
			err = f.fs.SyncDir(filepath.Dir(temp))
		}
		// Gone after a rename. Whatever else hinders the removal: the file is garbage that a take-over sweeps.
		_ = f.fs.Remove(temp)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// writeTemp writes a file beside target under a name that nobody has, durable or not.
func (f *files) writeTemp(target string, data []byte, durable bool) (temp string, err error) {
	temp, w, err := f.createTemp(target)
	if err != nil {
		return "", err
	}
	_, err = w.Write(data)
	if err == nil && durable {
		err = w.Sync()
	}
	if err = errors.Join(err, w.Close()); err != nil {
		_ = f.fs.Remove(temp) // as above
	}
	return temp, err
}

// createTemp makes a file beside target, and the directories above it.
func (f *files) createTemp(target string) (string, File, error) {
	dir, base := filepath.Split(target)
	for n := 0; ; n++ {
		temp := filepath.Join(dir, fmt.Sprintf(".%s.%d", base, n))
		w, err := f.create(temp)
		if !errors.Is(err, fs.ErrExist) {
			return temp, w, err
		}
	}
}

func (f *files) create(name string) (File, error) {
	if err := f.ensureDir(filepath.Dir(name)); err != nil {
		return nil, err
	}
	return f.fs.Create(name)
}

// ensureDir makes a directory and those above it, durably, the first time it is asked for. A directory within root that
// exists is synced into its parent too: who made it may have died before it came so far. One that vanishes later is
// not made again: its records are gone, and what is written must fail.
func (f *files) ensureDir(dir string) error {
	if f.isKnown(dir) {
		return nil
	}
	parent := filepath.Dir(dir)
	err := f.fs.Mkdir(dir)
	if errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := f.ensureDir(parent); err != nil {
			return err
		}
		err = f.fs.Mkdir(dir)
	}
	made := err == nil
	if !made && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if inside := dir == f.root || strings.HasPrefix(dir, f.root+string(filepath.Separator)); made || inside {
		if dir != f.root && inside {
			if err := f.ensureDir(parent); err != nil {
				return err
			}
		}
		// A root that was there may lie in a directory that this user can't open.
		if err := f.fs.SyncDir(parent); err != nil && (made || !errors.Is(err, fs.ErrPermission)) {
			return err
		}
	}
	f.mu.Lock()
	f.mu.known[dir] = true
	f.mu.Unlock()
	return nil
}

func (f *files) isKnown(dir string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.known[dir]
}

func (f *files) Get(ctx context.Context, name string) ([]byte, error) {
	o, err := f.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	b := make([]byte, o.Size())
	if _, err := o.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(fmt.Errorf("read %s: %w", f.path(name), err), o.Close())
	}
	return b, o.Close()
}

func (f *files) List(ctx context.Context, dir string) ([]string, error) {
	return f.list(ctx, dir, true)
}

func (f *files) Look(ctx context.Context, dir string) ([]string, error) {
	return f.list(ctx, dir, false)
}

func (f *files) list(ctx context.Context, dir string, durable bool) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := f.path(dir)
	names, err := f.fs.ReadDir(p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && durable {
		err = f.fs.SyncDir(p)
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", p, err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, ".") })
	slices.Sort(names)
	return names, nil
}

func (f *files) Remove(ctx context.Context, names ...string) error {
	var errs []error
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, err)...)
		}
		if err := f.fs.Remove(f.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove %s: %w", f.path(name), err))
		}
	}
	return errors.Join(errs...)
}

func (f *files) RemoveDir(ctx context.Context, dir string) error { return f.Remove(ctx, dir) }

// SweepTemporary removes what crashes left behind in a directory of o that a new leader has taken over: temporary files,
// where the medium is one of files. Whoever is about to link one of them fails, and is another leader.
func SweepTemporary(ctx context.Context, o Objects, dir string) error {
	if f, ok := o.(*files); ok {
		return f.sweepTemporary(ctx, dir)
	}
	return nil
}

func (f *files) sweepTemporary(ctx context.Context, dir string) error {
	names, err := f.fs.ReadDir(f.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, n := range names {
		if strings.HasPrefix(n, ".") {
			err = errors.Join(err, f.Remove(ctx, path.Join(dir, n)))
		}
	}
	return err
}

func (f *files) NewWriter(ctx context.Context, name string) (Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := f.path(name)
	w, err := f.create(p)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", p, err)
	}
	return &fileWriter{fs: f.fs, path: p, f: w}, nil
}

type fileWriter struct {
	fs   FS
	path string
	f    File
}

func (w *fileWriter) Write(b []byte) (int, error) {
	n, err := w.f.Write(b)
	if err != nil {
		err = fmt.Errorf("write %s: %w", w.path, err)
	}
	return n, err
}

func (w *fileWriter) Close() error {
	err := errors.Join(w.f.Sync(), w.f.Close())
	if err == nil {
		err = w.fs.SyncDir(filepath.Dir(w.path))
	}
	if err != nil {
		return fmt.Errorf("close %s: %w", w.path, err)
	}
	return nil
}

func (w *fileWriter) Abort() error {
	_ = w.f.Close() // closed already if Close failed
	if err := w.fs.Remove(w.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", w.path, err)
	}
	return nil
}

func (f *files) Open(ctx context.Context, name string) (Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := f.path(name)
	r, err := f.fs.Open(p)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p, err)
	}
	size, err := r.Size()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", p, err), r.Close())
	}
	return fileObject{r, size}, nil
}

type fileObject struct {
	File
	size int64
}

func (o fileObject) Size() int64 { return o.size }
