// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package outside

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
)

// Journal is a sink that makes records visible when their checkpoint is committed, each page once.
type Journal[T any] struct {
	mu    sync.Mutex
	pages map[string][]T
}

// Page is a committable: what a subtask wrote between two checkpoints.
type Page[T any] struct {
	ID   string
	Rows []T
}

// Rows are those that are visible.
func (j *Journal[T]) Rows() []T {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []T
	for _, p := range j.pages {
		all = append(all, p...)
	}
	return all
}

func (j *Journal[T]) NewWriter(
	_ context.Context, rt connector.RuntimeContext, _ []connector.None,
) (connector.Writer[T, connector.None, Page[T]], error) {
	return &writer[T]{name: fmt.Sprintf("%s-%d-%d", rt.JobID(), rt.Subtask(), rt.Attempt())}, nil
}

func (j *Journal[T]) NewCommitter(context.Context) (connector.Committer[Page[T]], error) {
	return committer[T]{j}, nil
}

type writer[T any] struct {
	name string
	rows []T
}

func (w *writer[T]) Write(_ context.Context, b *element.Batch[T]) error {
	w.rows = append(w.rows, b.Rows()...)
	return nil
}

func (w *writer[T]) PrepareCommit(_ context.Context, checkpoint int64) ([]Page[T], error) {
	if len(w.rows) == 0 {
		return nil, nil
	}
	p := Page[T]{fmt.Sprintf("%s-%d", w.name, checkpoint), slices.Clone(w.rows)}
	w.rows = w.rows[:0]
	return []Page[T]{p}, nil
}

func (w *writer[T]) Snapshot(int64) (connector.None, error) { return connector.None{}, nil }
func (w *writer[T]) Close() error                           { return nil }

type committer[T any] struct{ to *Journal[T] }

func (c committer[T]) Commit(_ context.Context, pages []Page[T]) error {
	c.to.mu.Lock()
	defer c.to.mu.Unlock()
	if c.to.pages == nil {
		c.to.pages = map[string][]T{}
	}
	for _, p := range pages {
		c.to.pages[p.ID] = p.Rows
	}
	return nil
}

func (c committer[T]) Close() error { return nil }
