// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream

import (
	"cmp"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/operator"
)

// KeyBy partitions by key. K is made of integers, bool, string, and arrays and structs of them; else it is an error of
// build.
func (s Stream[T]) KeyBy[K comparable](key func(in *T) K) Keyed[K, T] {
	if key == nil {
		s.env.fail("KeyBy: the function is nil")
		key = func(*T) K { return *new(K) }
	}
	return Keyed[K, T]{s: s, key: key}
}

// Keyed is a stream partitioned by a key. It has the stateful verbs only: stateless ones come before KeyBy.
type Keyed[K comparable, T any] struct {
	s   Stream[T]
	key func(*T) K
}

// Process calls f with the state row of the record's key; a new row is zero. Timers need ProcessTimed.
func (k Keyed[K, T]) Process[S, U any](uid UID, f func(st *S, ctx *Ctx[K], in *T, out *Out[U]) error) Stream[U] {
	return process(k, uid, f == nil, func() operator.KeyedFuncs[S, T, U, Ctx[K]] {
		return operator.KeyedFuncs[S, T, U, Ctx[K]]{Process: f}
	})
}

// ProcessTimed is Process with timers.
func (k Keyed[K, T]) ProcessTimed[S, U any](
	uid UID,
	f func(st *S, ctx *Ctx[K], in *T, out *Out[U]) error,
	onTimer func(st *S, ctx *Ctx[K], t Timer, out *Out[U]) error,
) Stream[U] {
	return process(k, uid, f == nil || onTimer == nil, func() operator.KeyedFuncs[S, T, U, Ctx[K]] {
		return operator.KeyedFuncs[S, T, U, Ctx[K]]{Process: f, OnTimer: onTimer}
	})
}

// ProcessRich is ProcessTimed with a value of its own for each subtask, opened and closed.
func (k Keyed[K, T]) ProcessRich[S, U any, P Processor[K, S, T, U]](uid UID, factory func() P) Stream[U] {
	return process(k, uid, factory == nil, func() operator.KeyedFuncs[S, T, U, Ctx[K]] {
		p := factory()
		return operator.KeyedFuncs[S, T, U, Ctx[K]]{
			Open: openRich(p), Process: p.Process, OnTimer: p.OnTimer, Close: p.Close,
		}
	})
}

func process[K comparable, S, T, U any](
	k Keyed[K, T], uid UID, missing bool, funcs func() operator.KeyedFuncs[S, T, U, Ctx[K]],
) Stream[U] {
	return k.apply[U]("KeyedProcess", uid, missing, func() (operator.Step, error) {
		return operator.KeyedProcess(k.key, keyedCtx[K], funcs)
	})
}

// Reduce folds in into acc, which begins as the first record of the key, and emits acc after each.
func (k Keyed[K, T]) Reduce[F ~func(acc, in *T)](uid UID, f F) Stream[T] {
	return k.apply[T]("Reduce", uid, f == nil, func() (operator.Step, error) { return operator.Reduce(k.key, f) })
}

// Aggregate emits the result so far after each record.
func (k Keyed[K, T]) Aggregate[A, R any, F aggregate.Function[T, A, R]](uid UID, f F) Stream[R] {
	return k.apply[R]("Aggregate", uid, false, func() (operator.Step, error) {
		return operator.Aggregate[K, T, A, R](k.key, f)
	})
}

// Sum emits, after each record, the first record of the key with the field that of points to replaced by the sum so far.
func (k Keyed[K, T]) Sum[N aggregate.Number](uid UID, of func(*T) *N) Stream[T] {
	return k.apply[T]("Sum", uid, of == nil, func() (operator.Step, error) { return operator.Sum(k.key, of) })
}

// Min is Sum for the least so far.
func (k Keyed[K, T]) Min[N cmp.Ordered](uid UID, of func(*T) *N) Stream[T] {
	return k.apply[T]("Min", uid, of == nil, func() (operator.Step, error) { return operator.Min(k.key, of) })
}

// Max is Sum for the greatest so far.
func (k Keyed[K, T]) Max[N cmp.Ordered](uid UID, of func(*T) *N) Stream[T] {
	return k.apply[T]("Max", uid, of == nil, func() (operator.Step, error) { return operator.Max(k.key, of) })
}

// MinBy emits, after each record, the first record of the key that has the least value so far.
func (k Keyed[K, T]) MinBy[N cmp.Ordered](uid UID, of func(*T) N) Stream[T] {
	return k.apply[T]("MinBy", uid, of == nil, func() (operator.Step, error) { return operator.MinBy(k.key, of) })
}

// MaxBy is MinBy for the greatest.
func (k Keyed[K, T]) MaxBy[N cmp.Ordered](uid UID, of func(*T) N) Stream[T] {
	return k.apply[T]("MaxBy", uid, of == nil, func() (operator.Step, error) { return operator.MaxBy(k.key, of) })
}

// apply adds a step with keyed state.
func (k Keyed[K, T]) apply[U any](verb string, uid UID, missing bool, newStep func() (operator.Step, error)) Stream[U] {
	e := k.s.env
	if !e.stateful(verb, uid, missing) {
		return broken[U](e)
	}
	c := k.s.records()
	if c == nil {
		return broken[U](e)
	}
	id := e.addStateful(verb, uid, typeName[U](), newStep)
	if id == brokenStep {
		return broken[U](e)
	}
	connectKeyed(e, k.s.origins, c, k.key, id, 0)
	return stepStream[U](e, id)
}

// stateful claims the uid of a step, and reports whether it has all of its functions.
func (e *Env) stateful(verb string, uid UID, missing bool) bool {
	e.claim(uid, verb)
	if missing {
		e.fail("%s: a function is nil", describe(verb, uid))
	}
	return !missing
}

// addStateful adds a step with keyed state; it is brokenStep if it can't be made.
func (e *Env) addStateful(verb string, uid UID, recordType string, newStep func() (operator.Step, error)) int {
	step, err := newStep()
	if err != nil {
		e.fail("%s: %w", describe(verb, uid), err)
		return brokenStep
	}
	return e.add(&graph.StreamNode{
		Verb: verb, UID: string(uid), Inputs: step.Inputs, New: step.New, States: step.States, KeepsText: step.KeepsText,
		RecordType: recordType,
	})
}

// Connect pairs two streams of one key type, for functions that share the state row of a key.
func (k Keyed[K, T]) Connect[B any](o Keyed[K, B]) KeyedConnected[K, T, B] {
	return pair("Connect", k, o)
}

func pair[K comparable, A, B any](verb string, a Keyed[K, A], b Keyed[K, B]) KeyedConnected[K, A, B] {
	if b.s.env != a.s.env {
		a.s.env.fail("%s: the streams belong to different jobs", verb)
		b.s = broken[B](a.s.env)
	}
	return KeyedConnected[K, A, B]{a, b}
}

// KeyedConnected is two streams of one key; their functions share the state row of a key.
type KeyedConnected[K comparable, A, B any] struct {
	a Keyed[K, A]
	b Keyed[K, B]
}

// Process calls f1 for records of the first stream and f2 for those of the second, never at once.
func (c KeyedConnected[K, A, B]) Process[S, U any](
	uid UID,
	f1 func(st *S, ctx *Ctx[K], in *A, out *Out[U]) error,
	f2 func(st *S, ctx *Ctx[K], in *B, out *Out[U]) error,
) Stream[U] {
	return coProcess(c, uid, f1 == nil || f2 == nil, func() operator.KeyedCoFuncs[S, A, B, U, Ctx[K]] {
		return operator.KeyedCoFuncs[S, A, B, U, Ctx[K]]{Process1: f1, Process2: f2}
	})
}

// ProcessTimed is Process with timers.
func (c KeyedConnected[K, A, B]) ProcessTimed[S, U any](
	uid UID,
	f1 func(st *S, ctx *Ctx[K], in *A, out *Out[U]) error,
	f2 func(st *S, ctx *Ctx[K], in *B, out *Out[U]) error,
	onTimer func(st *S, ctx *Ctx[K], t Timer, out *Out[U]) error,
) Stream[U] {
	return coProcess(c, uid, f1 == nil || f2 == nil || onTimer == nil, func() operator.KeyedCoFuncs[S, A, B, U, Ctx[K]] {
		return operator.KeyedCoFuncs[S, A, B, U, Ctx[K]]{Process1: f1, Process2: f2, OnTimer: onTimer}
	})
}

// ProcessRich is ProcessTimed with a value of its own for each subtask.
func (c KeyedConnected[K, A, B]) ProcessRich[S, U any, P CoProcessor[K, S, A, B, U]](uid UID, factory func() P) Stream[U] {
	return coProcess(c, uid, factory == nil, func() operator.KeyedCoFuncs[S, A, B, U, Ctx[K]] {
		p := factory()
		return operator.KeyedCoFuncs[S, A, B, U, Ctx[K]]{
			Open: openRich(p), Process1: p.Process1, Process2: p.Process2, OnTimer: p.OnTimer, Close: p.Close,
		}
	})
}

func coProcess[K comparable, S, A, B, U any](
	c KeyedConnected[K, A, B], uid UID, missing bool, funcs func() operator.KeyedCoFuncs[S, A, B, U, Ctx[K]],
) Stream[U] {
	return c.apply[U]("KeyedCoProcess", uid, missing, func() (operator.Step, error) {
		return operator.KeyedCoProcess(c.a.key, c.b.key, keyedCtx[K], funcs)
	})
}

// apply adds a step with two inputs by the same key.
func (c KeyedConnected[K, A, B]) apply[U any](
	verb string, uid UID, missing bool, newStep func() (operator.Step, error),
) Stream[U] {
	cb := c.b.s.records()
	if cb == nil {
		return broken[U](c.a.s.env)
	}
	s := c.a.apply[U](verb, uid, missing, newStep)
	if s.step != brokenStep {
		connectKeyed(c.a.s.env, c.b.s.origins, cb, c.b.key, s.step, 1)
	}
	return s
}
