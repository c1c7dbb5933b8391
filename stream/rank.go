// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/state"
)

// The verbs here keep some records of a key and drop the others. Where a later record takes the place of an earlier one
// that was emitted, the results are upserts: of those with one key (and rank) the last one holds.

// Deduplicate passes the first record of each key on and drops all that follow. Its state grows with the number of keys:
// where new ones come for ever, use Process with a state that has a time to live.
func (k Keyed[K, T]) Deduplicate[U ~string](uid U) Stream[T] {
	return choose(k, "Deduplicate", UID(uid), nil, func(_ *known, ctx *Ctx[K], in *T, out *Out[T]) error {
		if ctx.New() {
			out.Emit(*in)
		}
		return nil
	})
}

// known is the row of a key that was seen: it says so by being there.
type known struct{ Seen bool }

// LatestBy passes each record on that is the latest of its key so far, by the order of what of returns; of equal ones the
// one that comes later is. Earlier ones are dropped. Its results are upserts by key; its state is what of returned for each.
func (k Keyed[K, T]) LatestBy[N cmp.Ordered](uid UID, of func(*T) N) Stream[T] {
	return choose(k, "LatestBy", uid, missing(of == nil), func(last *latest[N], ctx *Ctx[K], in *T, out *Out[T]) error {
		at := of(in)
		if !ctx.New() && cmp.Less(at, last.At) {
			return nil
		}
		last.At = at
		out.Emit(*in)
		return nil
	})
}

// latest is where the latest record of a key stands.
type latest[N cmp.Ordered] struct{ At N }

// TopN keeps the first n records of each key in the order of compare, which is negative where a comes before b; of equal
// ones the one that came earlier is first. A record that gets a place is emitted, and so are those that it moves down: row
// writes to out, which is zero, what is to be emitted of a record with its rank, from 1 on. The results are upserts by key
// and rank. A record that gets no place is dropped.
func (k Keyed[K, T]) TopN[U any](
	uid UID, n int, compare func(a, b *T) int, row func(rank int, in *T, out *U),
) Stream[U] {
	wrong := missing(compare == nil || row == nil)
	if n < 1 {
		wrong = fmt.Errorf("n is %d; want 1 or more", n)
	}
	return choose(k, "TopN", uid, wrong, func(best *top[T], _ *Ctx[K], in *T, out *Out[U]) error {
		for at := best.insert(n, in, compare); at < best.Records.Len(); at++ {
			row(at+1, best.Records.At(at), out.Next())
		}
		return nil
	})
}

// top is the first records of a key, in order.
type top[T any] struct{ Records state.List[T] }

// insert puts a record in its place, if it has one among the first n, and returns that place; else the length.
func (t *top[T]) insert(n int, in *T, compare func(a, b *T) int) int {
	l := &t.Records
	at := l.Len()
	for at > 0 && compare(in, l.At(at-1)) < 0 {
		at--
	}
	switch length := l.Len(); {
	case at == n:
		return n
	case length == n:
		l.Truncate(n - 1)
	case length == 0:
		l.Grow(min(2, n))
	case length > 1 && length&(length-1) == 0: // what was made room for is full
		l.Grow(min(length, n-length))
	}
	l.Insert(at, *in)
	return at
}

var errNilFunction = errors.New("a function is nil")

func missing(is bool) error {
	if is {
		return errNilFunction
	}
	return nil
}

// choose adds a step that emits of each record, and the row of its key, what f says.
func choose[K comparable, S, T, U any](
	k Keyed[K, T], verb string, uid UID, wrong error, f func(st *S, ctx *Ctx[K], in *T, out *Out[U]) error,
) Stream[U] {
	return k.apply[U](verb, uid, false, func() (operator.Step, error) {
		if wrong != nil {
			return operator.Step{}, wrong
		}
		return operator.KeyedProcess(k.key, keyedCtx[K], func() operator.KeyedFuncs[S, T, U, Ctx[K]] {
			return operator.KeyedFuncs[S, T, U, Ctx[K]]{Process: f}
		})
	})
}
