// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"

	"github.com/weir-stream/weir/element"
)

// Each is a sink that calls write for each record, at least once, never concurrently within a subtask but concurrently
// from several. The record is valid during the call. An error of write fails the task.
func Each[T any](write func(ctx context.Context, in *T) error) Sink[T, None, None] {
	return each[T]{write}
}

// FunctionError is returned by a connector for an error of a function that the job gave it. The failure is then shown as
// one of the job's code; other errors of a connector are of the world that it reads from or writes to.
type FunctionError struct{ Err error }

// Error is what the function returned.
func (e *FunctionError) Error() string { return e.Err.Error() }

// Unwrap returns what the function returned.
func (e *FunctionError) Unwrap() error { return e.Err }

type each[T any] struct {
	write func(ctx context.Context, in *T) error
}

func (e each[T]) NewWriter(context.Context, RuntimeContext, []None) (Writer[T, None, None], error) {
	return e, nil
}

func (e each[T]) NewCommitter(context.Context) (Committer[None], error) { return nil, nil }

func (e each[T]) Write(ctx context.Context, b *element.Batch[T]) error {
	rows := b.Rows()
	for i := range rows {
		if err := e.write(ctx, &rows[i]); err != nil {
			return &FunctionError{err}
		}
	}
	return nil
}

func (e each[T]) PrepareCommit(context.Context, int64) ([]None, error) { return nil, nil }

func (e each[T]) Snapshot(int64) (None, error) { return None{}, nil }

func (e each[T]) Close() error { return nil }

var (
	_ Sink[int, None, None]   = each[int]{}
	_ Writer[int, None, None] = each[int]{}
)
