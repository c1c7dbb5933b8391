// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream

import (
	"iter"
	"time"

	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/window"
)

// Join pairs the records of a key that share a window. Sessions are those of both streams together.
func (k Keyed[K, T]) Join[B any](o Keyed[K, B], a window.Assigner) Join[K, T, B] {
	return Join[K, T, B]{pair("Join", k, o), operator.Windows{Assigner: a}}
}

// Join is a window join waiting for its function.
type Join[K comparable, A, B any] struct {
	c       KeyedConnected[K, A, B]
	windows operator.Windows
}

// AllowedLateness keeps windows that long after the watermark passed them; each late record fires again, with all pairs.
// What comes later still is counted and dropped.
func (j Join[K, A, B]) AllowedLateness(d time.Duration) Join[K, A, B] {
	j.windows.Lateness = d
	return j
}

// Apply calls f for each pair when the window fires: records of the first stream in order of arrival, and for each of
// them those of the second. Results carry the last moment of the window as event time.
func (j Join[K, A, B]) Apply[U any](uid UID, f func(ctx *WindowCtx[K], a *A, b *B, out *Out[U]) error) Stream[U] {
	return j.c.apply[U]("Join", uid, f == nil, func() (operator.Step, error) {
		return operator.WindowJoin(j.windows, j.c.a.key, j.c.b.key, windowCtx[K], f)
	})
}

// CoGroup hands over both sides of each window of a key, an empty one too: outer joins.
func (k Keyed[K, T]) CoGroup[B any](o Keyed[K, B], a window.Assigner) CoGroup[K, T, B] {
	return CoGroup[K, T, B]{pair("CoGroup", k, o), operator.Windows{Assigner: a}}
}

// CoGroup is a co-group waiting for its function.
type CoGroup[K comparable, A, B any] struct {
	c       KeyedConnected[K, A, B]
	windows operator.Windows
}

// AllowedLateness is that of Join.
func (g CoGroup[K, A, B]) AllowedLateness(d time.Duration) CoGroup[K, A, B] {
	g.windows.Lateness = d
	return g
}

// Apply calls f when the window fires, with the records of both sides, each in order of arrival; they can be ranged over
// again. Results carry the last moment of the window as event time.
func (g CoGroup[K, A, B]) Apply[U any](
	uid UID, f func(ctx *WindowCtx[K], as iter.Seq[*A], bs iter.Seq[*B], out *Out[U]) error,
) Stream[U] {
	return g.c.apply[U]("CoGroup", uid, f == nil, func() (operator.Step, error) {
		return operator.WindowCoGroup(g.windows, g.c.a.key, g.c.b.key, windowCtx[K], f)
	})
}
