// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync/atomic"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
)

// counter is how many rows a job or a loop has made.
type counter struct{ n atomic.Int64 }

// blackhole is a sink that counts rows and forgets them.
type blackhole[T any] struct{ rows *counter }

func (b blackhole[T]) NewWriter(context.Context, connector.RuntimeContext, []connector.None) (connector.Writer[T, connector.None, connector.None], error) {
	return b, nil
}

func (b blackhole[T]) NewCommitter(context.Context) (connector.Committer[connector.None], error) {
	return nil, nil //nolint:nilnil // the contract: nil where nothing is committed
}

func (b blackhole[T]) Write(_ context.Context, in *element.Batch[T]) error {
	b.rows.n.Add(int64(in.Len()))
	return nil
}

func (b blackhole[T]) PrepareCommit(context.Context, int64) ([]connector.None, error) {
	return nil, nil
}

func (b blackhole[T]) Snapshot(int64) (connector.None, error) { return connector.None{}, nil }

func (b blackhole[T]) Close() error { return nil }
