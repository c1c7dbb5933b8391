// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/window"
)

// Window begins windows by event time.
func (k Keyed[K, T]) Window[A window.Assigner](a A) Windowed[K, T] {
	return Windowed[K, T]{k: k, windows: operator.Windows{Assigner: window.Assigner(a)}}
}

// WindowBy begins windows that depend on the records.
func (k Keyed[K, T]) WindowBy(a window.AssignerFor[T]) Windowed[K, T] {
	gap := a.Gap()
	if gap == nil {
		k.s.env.fail("WindowBy: the function that chooses a gap is nil")
		gap = func(*T) time.Duration { return 1 }
	}
	return Windowed[K, T]{k: k, windows: operator.Windows{Gap: gap}}
}

// WindowAll windows the whole stream in one subtask.
func (s Stream[T]) WindowAll[A window.Assigner](a A) Windowed[None, T] {
	w := s.KeyBy(func(*T) None { return None{} }).Window(a)
	w.all = true
	return w
}

// Windowed is a keyed stream cut into windows; settings first, in any order, then one verb. A window fires when the
// watermark has passed its end; its results carry its last moment as event time.
type Windowed[K comparable, T any] struct {
	k       Keyed[K, T]
	windows operator.Windows
	// all is set for windows over the whole stream.
	all bool
}

// AllowedLateness keeps windows that long after the watermark passed them; each late record fires again.
func (w Windowed[K, T]) AllowedLateness(d time.Duration) Windowed[K, T] {
	w.windows.Lateness = d
	return w
}

// LateOutput sends what comes later still to tag, read by SideOutput; without it such records are counted and dropped.
func (w Windowed[K, T]) LateOutput(tag Tag[T]) Windowed[K, T] {
	w.windows.Late = tag.name
	return w
}

// Reduce folds the records of a window into one, which begins as the first; f must be associative.
func (w Windowed[K, T]) Reduce[F ~func(acc, in *T)](uid UID, f F) Stream[T] {
	return w.combined[T, operator.Reduced[T]](uid, f == nil, func() (operator.Step, error) {
		return operator.WindowReduce(w.windows, w.k.key, f)
	})
}

// ReduceProcess hands the result of Reduce on to f, which knows key and window.
func (w Windowed[K, T]) ReduceProcess[U any](
	uid UID, r func(acc, in *T), f func(ctx *WindowCtx[K], in *T, out *Out[U]) error,
) Stream[U] {
	return w.combined[U, operator.Reduced[T]](uid, r == nil || f == nil, func() (operator.Step, error) {
		return operator.WindowReduceProcess(w.windows, w.k.key, r, windowCtx[K], f)
	})
}

// Aggregate emits one result for each firing.
func (w Windowed[K, T]) Aggregate[A, R any, F aggregate.Function[T, A, R]](uid UID, f F) Stream[R] {
	return w.combined[R, A](uid, false, func() (operator.Step, error) {
		return operator.WindowAggregate[K, T, A, R](w.windows, w.k.key, f)
	})
}

// AggregateProcess hands the result of Aggregate on to f, which knows key and window.
func (w Windowed[K, T]) AggregateProcess[A, R, U any, F aggregate.Function[T, A, R]](
	uid UID, a F, f func(ctx *WindowCtx[K], in *R, out *Out[U]) error,
) Stream[U] {
	return w.combined[U, A](uid, f == nil, func() (operator.Step, error) {
		return operator.WindowAggregateProcess[K, T, A, R](w.windows, w.k.key, a, windowCtx[K], f)
	})
}

// Process keeps all records of a window and hands them over in order of arrival; in can be ranged over again.
func (w Windowed[K, T]) Process[U any](
	uid UID, f func(ctx *WindowCtx[K], in iter.Seq[*T], out *Out[U]) error,
) Stream[U] {
	return w.apply[U](uid, f == nil, func() (operator.Step, error) {
		return operator.WindowProcess(w.windows, w.k.key, windowCtx[K], f)
	})
}

// Sum emits, once a window, its first record with the field that of points to replaced by the sum.
func (w Windowed[K, T]) Sum[N aggregate.Number](uid UID, of func(*T) *N) Stream[T] {
	return w.reduce(uid, of == nil, func(acc, in *T) { *of(acc) += *of(in) })
}

// Min is Sum for the least.
func (w Windowed[K, T]) Min[N cmp.Ordered](uid UID, of func(*T) *N) Stream[T] {
	return w.reduce(uid, of == nil, func(acc, in *T) { *of(acc) = min(*of(acc), *of(in)) })
}

// Max is Sum for the greatest.
func (w Windowed[K, T]) Max[N cmp.Ordered](uid UID, of func(*T) *N) Stream[T] {
	return w.reduce(uid, of == nil, func(acc, in *T) { *of(acc) = max(*of(acc), *of(in)) })
}

// MinBy emits, once a window, the first record that has the least value.
func (w Windowed[K, T]) MinBy[N cmp.Ordered](uid UID, of func(*T) N) Stream[T] {
	return w.reduce(uid, of == nil, func(acc, in *T) {
		if cmp.Less(of(in), of(acc)) {
			*acc = *in
		}
	})
}

// MaxBy is MinBy for the greatest.
func (w Windowed[K, T]) MaxBy[N cmp.Ordered](uid UID, of func(*T) N) Stream[T] {
	return w.reduce(uid, of == nil, func(acc, in *T) {
		if cmp.Less(of(acc), of(in)) {
			*acc = *in
		}
	})
}

func (w Windowed[K, T]) reduce[F ~func(acc, in *T)](uid UID, missing bool, f F) Stream[T] {
	if missing {
		f = nil
	}
	return w.Reduce(uid, f)
}

// combined is apply for a step with accumulators of A, to which producers may add records before they send them.
func (w Windowed[K, T]) combined[U, A any](uid UID, missing bool, newStep func() (operator.Step, error)) Stream[U] {
	var by any
	s := w.apply[U](uid, missing, func() (operator.Step, error) {
		step, err := newStep()
		by = step.Combine
		return step, err
	})
	combine[K, T, A](s.place, by)
	return s
}

func (w Windowed[K, T]) apply[U any](uid UID, missing bool, newStep func() (operator.Step, error)) Stream[U] {
	verb := "Window"
	if w.all {
		verb = "WindowAll"
	}
	s := w.k.apply[U](verb, uid, missing, newStep)
	if w.all {
		s.env.set(s.step, verb, func(n *graph.StreamNode) { n.Parallelism = 1 })
	}
	return s
}

// checkTime reports the steps by event time that a stream without it leads to: they would never fire.
func (e *Env) checkTime() {
	timedVerbs := []string{"Window", "WindowAll", "Join", "CoGroup", "IntervalJoin"}
	in := make([][]int, len(e.graph.Nodes))
	for _, edge := range e.graph.Edges {
		in[edge.To] = append(in[edge.To], edge.From)
	}
	// without is, by node, a source without watermarks that its input comes from, or -1.
	without := make([]int, len(e.graph.Nodes))
	for i, n := range e.graph.Nodes {
		without[i] = -1
		if _, unmarked := e.unmarked[i]; unmarked {
			without[i] = i
		}
		for _, from := range in[i] {
			if n.Verb != "Watermarks" && without[from] >= 0 {
				without[i] = without[from]
			}
		}
		if slices.Contains(timedVerbs, n.Verb) && without[i] >= 0 {
			e.fail("%s: its input has no event time; call Watermarks on source %q",
				describe(n.Verb, UID(n.UID)), e.graph.Nodes[without[i]].UID)
		}
	}
}
