// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream

import (
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/operator"
)

// Map turns each record into one. MapTo, which writes into a zeroed one, is faster where U is large. The forms in E can
// fail the task; so can all that follow and return an error.
func (s Stream[T]) Map[U any](f func(in *T) U) Stream[U] {
	return apply[T, U](s, "Map", f == nil, func() operator.Step { return operator.Map(f) })
}

// MapE is Map with a function that can fail.
func (s Stream[T]) MapE[U any](f func(in *T) (U, error)) Stream[U] {
	return apply[T, U](s, "Map", f == nil, func() operator.Step { return operator.MapE(f) })
}

// MapTo turns each record into one by writing into out, which is zeroed.
func (s Stream[T]) MapTo[U any](f func(in *T, out *U)) Stream[U] {
	return apply[T, U](s, "Map", f == nil, func() operator.Step { return operator.MapTo(f) })
}

// MapToE is MapTo with a function that can fail.
func (s Stream[T]) MapToE[U any](f func(in *T, out *U) error) Stream[U] {
	return apply[T, U](s, "Map", f == nil, func() operator.Step { return operator.MapToE(f) })
}

// MapBatch is MapTo a batch at a time: out is zeroed and as long as in; row i keeps the time of row i.
func (s Stream[T]) MapBatch[U any](f func(in []T, out []U) error) Stream[U] {
	return apply[T, U](s, "Map", f == nil, func() operator.Step { return operator.MapBatch(f) })
}

// Filter keeps the records for which keep is true.
func (s Stream[T]) Filter[F ~func(in *T) bool](keep F) Stream[T] {
	return apply[T, T](s, "Filter", keep == nil, func() operator.Step { return operator.Filter(keep) })
}

// FilterE is Filter with a function that can fail.
func (s Stream[T]) FilterE[F ~func(in *T) (bool, error)](keep F) Stream[T] {
	return apply[T, T](s, "Filter", keep == nil, func() operator.Step { return operator.FilterE(keep) })
}

// FlatMap turns each record into any number.
func (s Stream[T]) FlatMap[U any](f func(in *T, out *Out[U])) Stream[U] {
	return apply[T, U](s, "FlatMap", f == nil, func() operator.Step { return operator.FlatMap(f) })
}

// FlatMapE is FlatMap with a function that can fail.
func (s Stream[T]) FlatMapE[U any](f func(in *T, out *Out[U]) error) Stream[U] {
	return apply[T, U](s, "FlatMap", f == nil, func() operator.Step { return operator.FlatMapE(f) })
}

// Process is FlatMapE that also sees time and side outputs. It has no state.
func (s Stream[T]) Process[U any](f func(ctx *PlainCtx, in *T, out *Out[U]) error) Stream[U] {
	return apply[T, U](s, "Process", f == nil, func() operator.Step {
		return operator.Process(plainCtx, func() operator.Funcs[T, U, PlainCtx] {
			return operator.Funcs[T, U, PlainCtx]{Process: f}
		})
	})
}

// ProcessRich is Process with a value of its own for each subtask, opened and closed.
func (s Stream[T]) ProcessRich[U any, P PlainProcessor[T, U]](uid UID, factory func() P) Stream[U] {
	s.env.claim(uid, "Process")
	if factory == nil {
		s.env.fail("Process %q: the factory is nil", uid)
		return broken[U](s.env)
	}
	step := operator.Process(plainCtx, func() operator.Funcs[T, U, PlainCtx] {
		p := factory()
		return operator.Funcs[T, U, PlainCtx]{Open: openRich(p), Process: p.Process, Close: p.Close}
	})
	return unary[T, U](s, &graph.StreamNode{Verb: "Process", UID: string(uid), New: step.New})
}

// Connect pairs two streams without keys, for Process of both.
func (s Stream[T]) Connect[U any](o Stream[U]) Connected[T, U] { return Connected[T, U]{s, o} }

// Connected is two streams without keys.
type Connected[A, B any] struct {
	a Stream[A]
	b Stream[B]
}

// Process calls f1 and f2, never at once; it has no state.
func (c Connected[A, B]) Process[U any](
	f1 func(ctx *PlainCtx, in *A, out *Out[U]) error,
	f2 func(ctx *PlainCtx, in *B, out *Out[U]) error,
) Stream[U] {
	step := operator.CoProcess(plainCtx, func() operator.CoFuncs[A, B, U, PlainCtx] {
		return operator.CoFuncs[A, B, U, PlainCtx]{Process1: f1, Process2: f2}
	})
	e, ca, cb := c.a.env, c.a.records(), c.b.records()
	if ca == nil || cb == nil {
		return broken[U](e)
	}
	id := e.add(&graph.StreamNode{Verb: "CoProcess", New: step.New, Inputs: 2, RecordType: typeName[U]()})
	connect(e, c.a.origins, ca, id, 0)
	connect(e, c.b.origins, cb, id, 1)
	return stepStream[U](e, id)
}

// apply adds a step without state.
func apply[T, U any](s Stream[T], verb string, missing bool, step func() operator.Step) Stream[U] {
	if missing {
		s.env.fail("%s: the function is nil", verb)
		return broken[U](s.env)
	}
	return unary[T, U](s, &graph.StreamNode{Verb: verb, New: step().New})
}
