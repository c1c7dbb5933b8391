// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/format"
)

// writeBytes is how much is encoded before it is written.
const writeBytes = 64 << 10

// writer encodes records into one file at a time.
type writer[T any] struct {
	sink Sink[T]
	rt   connector.RuntimeContext
	enc  format.Encoder[T]
	// name is that of the next file, or of the one that is open.
	name name
	// marker is that of the run; zero where nobody claimed the directory.
	marker marker
	// out is the file in progress; nil between files.
	out    durable
	opened time.Time
	// buf is encoded and not written; size is what the file has, with buf.
	buf  []byte
	size int64
	// pending are whole and durable, apart from their directory entries, and in no committable yet.
	pending []Pending
	// err is the first failure to write: what the open file holds isn't known any more, and the attempt must end.
	err error
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
	if w.out != nil && w.sink.rollInterval > 0 && w.rt.Now().Sub(w.opened) >= w.sink.rollInterval {
		if err := w.roll(); err != nil {
			return err
		}
	}
	if w.out == nil {
		if err := w.create(); err != nil {
			return err
		}
	}
	before := len(w.buf)
	buf, err := w.enc.Append(w.buf, row)
	if err != nil {
		return fmt.Errorf("encode a record for %s: %w", w.sink.dir, err)
	}
	w.buf, w.size = buf, w.size+int64(len(buf)-before)
	if len(w.buf) >= writeBytes {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if w.sink.rollBytes > 0 && w.size >= w.sink.rollBytes {
		return w.roll()
	}
	return nil
}

func (w *writer[T]) create() error {
	out, err := w.sink.disk.Create(w.path(w.name.inProgress()))
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("create file: %w: does another sink write to this directory?", err)
	}
	if err != nil {
		return fmt.Errorf("create file: %w", err)
	}
	w.out, w.opened = out, w.rt.Now()
	w.buf = w.enc.Head(w.buf[:0])
	w.size = int64(len(w.buf))
	return nil
}

func (w *writer[T]) flush() error {
	_, err := w.out.Write(w.buf)
	w.buf = w.buf[:0]
	if err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return nil
}

// roll makes the file in progress durable and pending.
func (w *writer[T]) roll() error {
	if err := w.flush(); err != nil {
		return err
	}
	err := w.out.Sync()
	err = errors.Join(err, w.out.Close())
	w.out = nil
	if err != nil {
		return fmt.Errorf("make %s durable: %w", w.path(w.name.inProgress()), err)
	}
	p := Pending{Dir: w.sink.dir, Temp: w.name.pending(), Final: w.name.final(), Size: w.size}
	if err := w.sink.disk.Rename(w.path(w.name.inProgress()), w.path(p.Temp)); err != nil {
		return fmt.Errorf("make file pending: %w", err)
	}
	w.pending = append(w.pending, p)
	w.name.number++
	return nil
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

// PrepareCommit closes the file in progress; the committables are all files since the last call.
func (w *writer[T]) PrepareCommit(context.Context, int64) ([]Pending, error) {
	if w.err == nil {
		w.err = w.owned()
	}
	if w.err != nil {
		return nil, w.err
	}
	if w.out != nil {
		if w.err = w.roll(); w.err != nil {
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

// Close gives up the file in progress; removing it is a courtesy, the next attempt would.
func (w *writer[T]) Close() error {
	if w.out == nil {
		return nil
	}
	err := w.out.Close()
	w.out = nil
	return errors.Join(err, w.remove(w.name.inProgress()))
}

func (w *writer[T]) path(name string) string { return filepath.Join(w.sink.dir, name) }

func (w *writer[T]) remove(name string) error {
	if err := w.sink.disk.Remove(w.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sweep removes what dead attempts of the subtasks of this writer left uncommitted. The package comment says why it may.
// It fails where the directory belongs to another run.
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
		if f.committed || f.job != w.name.job || f.attempt >= w.name.attempt || f.subtask%p != w.name.subtask {
			continue
		}
		if err := w.remove(f.file); err != nil {
			return fmt.Errorf("sweep %s: %w", w.sink.dir, err)
		}
	}
	return nil
}
