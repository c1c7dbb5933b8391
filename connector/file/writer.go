// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/format"
)

// writeBytes is how much is encoded before it is written.
const writeBytes = 64 << 10

// openMax is how many files a writer has open at once.
const openMax = 64

// writer encodes records into files, one at a time for each partition.
type writer[T any] struct {
	sink Sink[T]
	rt   connector.RuntimeContext
	enc  format.Encoder[T]
	// name is that of the next file.
	name name
	// marker is that of the run; zero where nobody claimed the directory.
	marker marker
	// open are the files in progress by partition; current is the one that got the last record, nil if that is finished.
	open    map[string]*file
	current *file
	// uses counts how often the current file changed.
	uses int64
	// spare is a buffer for the next file.
	spare []byte
	// pending are whole and durable, apart from their directory entries, and in no committable yet.
	pending []Pending
	// err is the first failure to write: what the open files hold isn't known any more, and the attempt must end.
	err error
}

// file is one in progress.
type file struct {
	partition string
	name      name
	out       durable
	opened    time.Time
	// used is the writer's count of uses when it became the current one.
	used int64
	// buf is encoded and not written; size is what the file has, with buf.
	buf  []byte
	size int64
}

func (w *writer[T]) Write(_ context.Context, b *element.Batch[T]) error {
	if w.err != nil {
		return w.err
	}
	rows := b.Rows()
	for i := range rows {
		if err := w.add(&rows[i]); err != nil {
			w.err = err
			return err
		}
	}
	return nil
}

func (w *writer[T]) add(row *T) error {
	f, err := w.fileOf(row)
	if err != nil {
		return err
	}
	before := len(f.buf)
	buf, err := w.enc.Append(f.buf, row)
	if err != nil {
		return fmt.Errorf("encode a record for %s: %w", w.sink.dir, err)
	}
	f.buf, f.size = buf, f.size+int64(len(buf)-before)
	if len(f.buf) >= writeBytes {
		if err := f.flush(); err != nil {
			return err
		}
	}
	if w.sink.rollBytes > 0 && f.size >= w.sink.rollBytes {
		return w.roll(f)
	}
	return nil
}

// fileOf makes the file for a record the current one.
func (w *writer[T]) fileOf(row *T) (*file, error) {
	partition := ""
	if w.sink.partition != nil {
		partition = w.sink.partition(row)
	}
	f := w.current
	if f == nil || f.partition != partition {
		if f = w.open[partition]; f != nil {
			w.use(f)
		}
	}
	if f != nil && w.sink.rollInterval > 0 && w.rt.Now().Sub(f.opened) >= w.sink.rollInterval {
		if err := w.roll(f); err != nil {
			return nil, err
		}
		f = nil
	}
	if f != nil {
		return f, nil
	}
	return w.create(partition)
}

func (w *writer[T]) use(f *file) {
	w.uses++
	w.current, f.used = f, w.uses
}

// create makes a file, under a hidden name next to those of all partitions, so that sweeping is one look.
func (w *writer[T]) create(partition string) (*file, error) {
	if err := checkPartition(partition); err != nil {
		return nil, &connector.FunctionError{Err: err}
	}
	if len(w.open) >= openMax {
		if err := w.roll(w.oldest()); err != nil {
			return nil, err
		}
	}
	out, err := w.sink.disk.Create(w.path(w.name.inProgress()))
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create file: %w: does another sink write to this directory?", err)
	}
	if err != nil {
		return nil, fmt.Errorf("create file: %w", err)
	}
	partition = strings.Clone(partition) // the record that it is a piece of goes
	f := &file{partition: partition, name: w.name, out: out, opened: w.rt.Now(), buf: w.enc.Head(w.spare[:0])}
	f.size, w.spare = int64(len(f.buf)), nil
	w.name.number++
	w.open[partition] = f
	w.use(f)
	return f, nil
}

// checkPartition refuses what would leave the directory or be hidden from readers. Empty is the directory itself.
func checkPartition(partition string) error {
	if partition == "" {
		return nil
	}
	if fs.ValidPath(partition) && !strings.HasPrefix(partition, ".") && !strings.Contains(partition, "/.") &&
		strings.Count(partition, "/") < depthMax {
		return nil
	}
	return fmt.Errorf("partition %q: want a relative path as day=2026-01-31/hour=07, of %d parts at most, of which none "+
		"begins with a dot", partition, depthMax)
}

// oldest is the open file that was the current one longest ago.
func (w *writer[T]) oldest() (oldest *file) {
	for _, f := range w.open {
		if oldest == nil || f.used < oldest.used {
			oldest = f
		}
	}
	return oldest
}

func (f *file) flush() error {
	_, err := f.out.Write(f.buf)
	f.buf = f.buf[:0]
	if err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return nil
}

// roll makes a file in progress durable and pending.
func (w *writer[T]) roll(f *file) error {
	if err := f.flush(); err != nil {
		return err
	}
	w.spare = f.buf
	err := errors.Join(f.out.Sync(), w.shut(f))
	if err != nil {
		return fmt.Errorf("make %s durable: %w", w.path(f.name.inProgress()), err)
	}
	p := Pending{Dir: w.sink.dir, Temp: f.name.pending(), Final: path.Join(f.partition, f.name.final()), Size: f.size}
	if err := w.sink.disk.Rename(w.path(f.name.inProgress()), w.path(p.Temp)); err != nil {
		return fmt.Errorf("make file pending: %w", err)
	}
	w.pending = append(w.pending, p)
	return nil
}

// shut closes a file in progress, which is none any more.
func (w *writer[T]) shut(f *file) error {
	delete(w.open, f.partition)
	if w.current == f {
		w.current = nil
	}
	return f.out.Close()
}

// owned fails once another run has taken the directory: what this one would commit comes from that one, too. It looks at
// its own marker and for the next one, so that a directory with many files costs no more.
func (w *writer[T]) owned() error {
	if w.marker.number == 0 {
		return nil // nobody claimed the directory
	}
	for _, m := range []marker{w.marker, {number: w.marker.number + 1}} {
		run, err := readMarker(w.sink.disk, w.sink.dir, m)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("look whose output directory %s is: %w", w.sink.dir, err)
		case run != w.name.job:
			return fmt.Errorf("%w: run %q has taken %s over", ErrOccupied, run, w.sink.dir)
		}
	}
	return nil
}

// PrepareCommit closes the files in progress; the committables are all files since the last call.
func (w *writer[T]) PrepareCommit(context.Context, int64) ([]Pending, error) {
	if w.err == nil {
		w.err = w.owned()
	}
	if w.err != nil {
		return nil, w.err
	}
	for _, partition := range slices.Sorted(maps.Keys(w.open)) {
		if w.err = w.roll(w.open[partition]); w.err != nil {
			return nil, w.err
		}
	}
	if len(w.pending) == 0 {
		return nil, nil
	}
	if err := w.sink.disk.SyncDir(w.sink.dir); err != nil {
		w.err = fmt.Errorf("make the files of %s durable: %w", w.sink.dir, err)
		return nil, w.err
	}
	pending := w.pending
	w.pending = nil
	return pending, nil
}

func (w *writer[T]) Snapshot(int64) (connector.None, error) { return connector.None{}, nil }

// Close gives up the files in progress; removing them is a courtesy, the next attempt would.
func (w *writer[T]) Close() (err error) {
	for _, f := range w.open {
		err = errors.Join(err, w.shut(f), w.remove(f.name.inProgress()))
	}
	return err
}

func (w *writer[T]) path(name string) string { return filepath.Join(w.sink.dir, name) }

func (w *writer[T]) remove(name string) error {
	if err := w.sink.disk.Remove(w.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sweep removes what dead attempts of the subtasks of this writer left uncommitted, and what the runs before left that this
// one goes on from. The package comment says why it may. It fails where the directory belongs to another run.
func (w *writer[T]) sweep() error {
	c, err := look(w.sink.disk, w.sink.dir)
	if err != nil {
		return fmt.Errorf("sweep %s: %w", w.sink.dir, err)
	}
	if n := len(c.markers); n > 0 {
		if w.marker = c.markers[n-1]; w.marker.run != w.name.job {
			return fmt.Errorf("%w: %s belongs to run %s", ErrOccupied, w.sink.dir, w.marker.run)
		}
	}
	p := int64(max(1, w.rt.Parallelism()))
	for _, f := range c.parts {
		if f.committed || f.subtask%p != w.name.subtask || !w.isDead(&f, c.markers) {
			continue
		}
		if err := w.remove(f.file); err != nil {
			return fmt.Errorf("sweep %s: %w", w.sink.dir, err)
		}
	}
	return nil
}

// isDead tells whether a part is of an attempt before this one, of the run or of one that had the directory earlier.
func (w *writer[T]) isDead(f *found, markers []marker) bool {
	if f.job == w.name.job {
		return f.attempt < w.name.attempt
	}
	return slices.ContainsFunc(markers, func(m marker) bool { return m.run == f.job })
}
