// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package collect is a sink that keeps rows in the memory of the process, exactly once, for tests and for services that
// run a job inside them.
//
//	writer: rows since the last checkpoint --> committable: its id and the rows --> Rows, once each id
//
// Committables carry the rows, so that a run that is restored, in another process too, commits them again. Rows stay
// until the process ends or Take is called: nothing else bounds them.
//
// Non-obvious: the committer must run in the process that reads the rows, so this is a sink for the embedded cluster.
package collect

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
)

// Collector holds what its sinks have committed. Its methods may be called from any goroutine.
type Collector[T any] struct {
	mu struct {
		sync.Mutex
		rows []T
		// done are the ids of committables that were committed.
		done map[string]bool
	}
}

// New makes an empty collector.
func New[T any]() *Collector[T] {
	c := &Collector[T]{}
	c.mu.done = map[string]bool{}
	return c
}

// Rows returns a copy of the rows that were committed, in the order of the commits.
func (c *Collector[T]) Rows() []T {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.mu.rows)
}

// Take returns the rows that were committed and forgets them.
func (c *Collector[T]) Take() []T {
	c.mu.Lock()
	defer c.mu.Unlock()
	rows := c.mu.rows
	c.mu.rows = nil
	return rows
}

// Sink returns the sink, for one step of one job.
func (c *Collector[T]) Sink() Sink[T] { return Sink[T]{c} }

// Sink writes into a Collector.
type Sink[T any] struct{ to *Collector[T] }

// Committable is what a writer collected between two checkpoints.
type Committable[T any] struct {
	// ID names job, subtask, attempt and checkpoint.
	ID   string
	Rows []T
}

// NewWriter makes a writer.
func (s Sink[T]) NewWriter(_ context.Context, rt connector.RuntimeContext, _ []connector.None) (connector.Writer[T, connector.None, Committable[T]], error) {
	return &writer[T]{
		name: fmt.Sprintf("%s/%d/%d", rt.JobID(), rt.Subtask(), rt.Attempt()),
		deep: refers(reflect.TypeFor[T]()),
	}, nil
}

// NewCommitter makes a committer.
func (s Sink[T]) NewCommitter(context.Context) (connector.Committer[Committable[T]], error) {
	return committer[T](s), nil
}

var _ connector.Sink[int, connector.None, Committable[int]] = Sink[int]{}

type writer[T any] struct {
	name string
	// deep tells that records refer to memory, which is copied.
	deep bool
	rows []T
}

func (w *writer[T]) Write(_ context.Context, b *element.Batch[T]) error {
	from := len(w.rows)
	w.rows = append(w.rows, b.Rows()...)
	if w.deep {
		for i := range w.rows[from:] {
			own(reflect.ValueOf(&w.rows[from+i]).Elem())
		}
	}
	return nil
}

func (w *writer[T]) PrepareCommit(_ context.Context, checkpoint int64) ([]Committable[T], error) {
	if len(w.rows) == 0 {
		return nil, nil
	}
	c := Committable[T]{ID: fmt.Sprintf("%s/%d", w.name, checkpoint), Rows: w.rows}
	w.rows = nil
	return []Committable[T]{c}, nil
}

func (w *writer[T]) Snapshot(int64) (connector.None, error) { return connector.None{}, nil }

func (w *writer[T]) Close() error { return nil }

type committer[T any] struct{ to *Collector[T] }

func (c committer[T]) Commit(_ context.Context, committables []Committable[T]) error {
	c.to.mu.Lock()
	defer c.to.mu.Unlock()
	for _, one := range committables {
		if !c.to.mu.done[one.ID] {
			c.to.mu.done[one.ID] = true
			c.to.mu.rows = append(c.to.mu.rows, one.Rows...)
		}
	}
	return nil
}

func (c committer[T]) Close() error { return nil }
