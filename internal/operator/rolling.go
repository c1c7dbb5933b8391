// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"cmp"
	"context"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/statebackend/heap"
)

// Reduce folds each record into that of its key, which begins as the first, and emits the result.
func Reduce[K comparable, T any](key func(*T) K, f func(acc, in *T)) (Step, error) {
	return roll(key, func(acc *T, isNew bool, in, out *T) {
		if isNew {
			*acc = *in
		} else {
			f(acc, in)
		}
		*out = *acc
	})
}

// Aggregate folds each record into the accumulator of its key, and emits the result so far.
func Aggregate[K comparable, T, A, R any](key func(*T) K, f aggregate.Function[T, A, R]) (Step, error) {
	return roll(key, func(acc *A, _ bool, in *T, out *R) {
		f.Add(acc, in)
		*out = f.Result(acc)
	})
}

// Sum emits the first record of the key with the field that of points to replaced by the sum so far.
func Sum[K comparable, T any, N aggregate.Number](key func(*T) K, of func(*T) *N) (Step, error) {
	return Reduce(key, func(acc, in *T) { *of(acc) += *of(in) })
}

// Min emits the first record of the key with the field that of points to replaced by the least so far.
func Min[K comparable, T any, N cmp.Ordered](key func(*T) K, of func(*T) *N) (Step, error) {
	return Reduce(key, func(acc, in *T) {
		if least, n := of(acc), of(in); cmp.Less(*n, *least) {
			*least = *n
		}
	})
}

// Max emits the first record of the key with the field that of points to replaced by the greatest so far.
func Max[K comparable, T any, N cmp.Ordered](key func(*T) K, of func(*T) *N) (Step, error) {
	return Reduce(key, func(acc, in *T) {
		if greatest, n := of(acc), of(in); cmp.Less(*greatest, *n) {
			*greatest = *n
		}
	})
}

// MinBy emits the first record of the key for which of is least so far.
func MinBy[K comparable, T any, N cmp.Ordered](key func(*T) K, of func(*T) N) (Step, error) {
	return Reduce(key, func(acc, in *T) {
		if cmp.Less(of(in), of(acc)) {
			*acc = *in
		}
	})
}

// MaxBy emits the first record of the key for which of is greatest so far.
func MaxBy[K comparable, T any, N cmp.Ordered](key func(*T) K, of func(*T) N) (Step, error) {
	return Reduce(key, func(acc, in *T) {
		if cmp.Less(of(acc), of(in)) {
			*acc = *in
		}
	})
}

// roll makes a step that turns each record and the row of its key into one record.
func roll[K comparable, S, T, R any](key func(*T) K, f func(row *S, isNew bool, in *T, out *R)) (Step, error) {
	hash, err := keys.HasherFor[K]()
	if err != nil {
		return Step{}, err
	}
	spec, err := rowsSpec[K, S]()
	if err != nil {
		return Step{}, err
	}
	return Step{
		New:       func() Operator { return &roller[K, S, T, R]{key: key, hash: hash, f: f} },
		Inputs:    1,
		States:    []statebackend.Spec{spec},
		KeepsText: keepsText[K, S](),
	}, nil
}

type roller[K comparable, S, T, R any] struct {
	base[R]
	key     func(*T) K
	hash    func(*K) uint64
	f       func(row *S, isNew bool, in *T, out *R)
	table   *heap.Table[K, S]
	batch   *element.Batch[R]
	spare   []int64
	scratch []uint64
	keys    [heap.PrefetchGroup]K
}

var _ Operator = (*roller[int, int, int, int])(nil)

// Port is the one input.
func (r *roller[K, S, T, R]) Port(int) Port { return PortOf[T](r) }

// Open makes the table, and restores it.
func (r *roller[K, S, T, R]) Open(ctx context.Context, rt *Runtime) (err error) {
	if err := r.base.Open(ctx, rt); err != nil {
		return err
	}
	r.batch = element.NewBatch[R](rowsFor[R](rt))
	if r.table, err = heap.NewTable[K, S](tableConfig(stateName, rt)); err != nil || rt.Restored == nil {
		return err
	}
	return r.table.Restore(rt.Restored)
}

// States lists the table.
func (r *roller[K, S, T, R]) States() []statebackend.State { return []statebackend.State{r.table} }

// Close gives the table's memory back.
func (r *roller[K, S, T, R]) Close() error {
	if r.table == nil {
		return nil
	}
	return r.table.Close()
}

// roll handles the group of records from rows[at] on.
func (r *roller[K, S, T, R]) roll(rows []T, hashes []uint64, out []R, at int) {
	f, table := r.f, r.table
	keys := keysOf(&r.keys, rows[at:], r.key)
	found := table.Resolve(hashes, at, keys)
	rows, hashes, out = rows[at:][:len(keys)], hashes[at:][:len(keys)], out[at:][:len(keys)]
	for i := range keys {
		row, isNew := found[i%heap.PrefetchGroup], false
		if row == nil {
			row, isNew = table.Row(hashes[i], &keys[i])
		}
		f(row, isNew, &rows[i], &out[i])
	}
}

// Process handles a batch.
func (r *roller[K, S, T, R]) Process(b *element.Batch[T]) (err error) {
	defer guard(&r.rt.Info, &err)
	n := b.Len()
	r.received(n)
	hashes, err := hashed(b, r.key, r.hash, r.rt, &r.scratch)
	if err != nil {
		return err
	}
	rows, out := b.Rows(), blank(r.batch, n, &r.spare)
	for at := 0; at < n; at += heap.PrefetchGroup {
		r.roll(rows, hashes, out, at)
	}
	moveTimes(b, r.batch, &r.spare)
	if err := r.out.Process(r.batch); err != nil {
		return err
	}
	mangle(r.batch)
	return nil
}
