// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/statebackend/heap"
)

// keyedRows are the rows of a keyed process step, in one of two kinds of table, by what S is. The other is nil.
type keyedRows[K comparable, S any] struct {
	table *heap.Table[K, S]
	boxed *heap.Boxed[K, S]
	// timed tells that fields have a time to live; such rows are in a table.
	timed bool
}

func newKeyedRows[K comparable, S any](rt *Runtime) (r keyedRows[K, S], err error) {
	if heap.Boxes[S]() {
		r.boxed, err = heap.NewBoxed[K, S](tableConfig(stateName, rt))
		return r, err
	}
	if r.table, err = heap.NewTable[K, S](tableConfig(stateName, rt)); err == nil {
		r.timed = r.table.HasTTL()
	}
	return r, err
}

func (r *keyedRows[K, S]) state() statebackend.State {
	if r.boxed != nil {
		return r.boxed
	}
	return r.table
}

func (r *keyedRows[K, S]) row(h uint64, k *K) (row *S, isNew bool) {
	if r.boxed != nil {
		return r.boxed.Row(h, k)
	}
	return r.table.Row(h, k)
}

// enter and leave stand around the calls that are lent a row.
func (r *keyedRows[K, S]) enter(row *S) {
	if r.timed {
		r.table.Enter(row)
	}
}

func (r *keyedRows[K, S]) leave(row *S) {
	if r.timed {
		r.table.Leave(row)
	}
}

func (r *keyedRows[K, S]) vacant(row *S) bool {
	if r.boxed != nil {
		return r.boxed.Vacant(row)
	}
	return r.table.Vacant(row)
}

func (r *keyedRows[K, S]) delete(h uint64, k *K) {
	if r.boxed != nil {
		r.boxed.Delete(h, k)
	} else {
		r.table.Delete(h, k)
	}
}

// resolve finds rows of a group of keys: those of keys from hashes[at] on.
func (r *keyedRows[K, S]) resolve(hashes []uint64, at int, keys []K) *[heap.PrefetchGroup]*S {
	if r.boxed != nil {
		return r.boxed.Resolve(hashes, at, keys)
	}
	return r.table.Resolve(hashes, at, keys)
}

// close gives the memory back, also of what was never opened.
func (r *keyedRows[K, S]) close() error {
	switch {
	case r.boxed != nil:
		return r.boxed.Close()
	case r.table != nil:
		return r.table.Close()
	default:
		return nil
	}
}
