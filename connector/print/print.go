// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package print is a sink for people: it writes a line for each record, at least once.
//
//	3> {Word:weir Count:7}
//
// Where several subtasks print, a line begins with the number of its subtask, counted from 1. Lines are never torn: a
// batch is one call of Write, and calls don't overlap.
//
// Non-obvious: a record whose text has several lines is printed as several lines.
package print

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
)

// Sink prints records.
type Sink[T any] struct {
	out io.Writer
	// lock is that of all writers of this sink.
	lock *sync.Mutex
}

// New makes a sink that prints to standard output.
func New[T any]() Sink[T] { return Sink[T]{out: os.Stdout, lock: new(sync.Mutex)} }

// To prints to out instead.
func (s Sink[T]) To(out io.Writer) Sink[T] {
	s.out = out
	return s
}

// NewWriter makes a writer.
func (s Sink[T]) NewWriter(_ context.Context, rt connector.RuntimeContext, _ []connector.None) (connector.Writer[T, connector.None, connector.None], error) {
	w := &writer[T]{sink: s}
	if rt.Parallelism() > 1 {
		w.prefix = strconv.Itoa(rt.Subtask()+1) + "> "
	}
	return w, nil
}

// NewCommitter returns nil: what is printed is visible.
func (s Sink[T]) NewCommitter(context.Context) (connector.Committer[connector.None], error) {
	return nil, nil
}

type writer[T any] struct {
	sink   Sink[T]
	prefix string
	buf    []byte
}

func (w *writer[T]) Write(_ context.Context, b *element.Batch[T]) error {
	w.buf = w.buf[:0]
	rows := b.Rows()
	for i := range rows {
		w.buf = append(w.buf, w.prefix...)
		w.buf = fmt.Appendf(w.buf, "%+v\n", rows[i])
	}
	w.sink.lock.Lock()
	_, err := w.sink.out.Write(w.buf)
	w.sink.lock.Unlock()
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

func (w *writer[T]) PrepareCommit(context.Context, int64) ([]connector.None, error) { return nil, nil }

func (w *writer[T]) Snapshot(int64) (connector.None, error) { return connector.None{}, nil }

func (w *writer[T]) Close() error { return nil }

var _ connector.Sink[int, connector.None, connector.None] = Sink[int]{}
