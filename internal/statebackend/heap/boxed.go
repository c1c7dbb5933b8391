// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"reflect"
	"unsafe"

	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/statebackend"
)

const (
	// Rows of boxedBytesMin or more are worth a pointer.
	boxedBytesMin = 64
	// Chunks have chunkRowsMin rows at first, then as many as there are already, up to chunkBytes.
	chunkRowsMin = 8
	chunkBytes   = 64 << 10
)

// Boxed is a Table whose rows lie beside it, in chunks, in the order in which they came, and stay where they are: a slot
// has a pointer, so growth moves a few words a row, and room for rows that are not there yet is a few words, too. Segments
// double, therefore. The rows of deleted keys are used again.
//
// It is for rows that are large, can't lie outside the collector's sight, and are encoded as soon as they are held back
// since they point to what may change: Boxes tells. What is stored is what a Table of S stores. There are no times to live.
type Boxed[K comparable, S any] struct {
	*Table[K, codec.Boxed[S]]
	// chunk is what is left of the newest one. rows is how many fit in the next chunk.
	chunk []S
	rows  int
	// free are rows of deleted keys, zero; about as many at most as there are live ones, or the memory of keys that are gone
	// would never go.
	free []*S
	live int
	// found are the rows of the group of keys at hand, as those of the table; lent tells that there are some.
	found [PrefetchGroup]*S
	lent  bool
}

// Boxes reports whether Boxed is the better table for rows of S.
func Boxes[S any]() bool {
	t := reflect.TypeFor[S]()
	if t.Size() < boxedBytesMin || layoutOf(t) != layoutShared {
		return false
	}
	x, err := newExpiry(t)
	return err == nil && x == nil
}

// NewBoxed makes an empty table. The error names the field of S, or the part of K, that can't be stored.
func NewBoxed[K comparable, S any](c Config) (*Boxed[K, S], error) {
	t, err := NewTable[K, codec.Boxed[S]](c)
	if err != nil {
		return nil, err
	}
	t.growthParts = growthPartsBoxed
	return &Boxed[K, S]{Table: t, rows: chunkRowsMin}, nil
}

// Row lends the row of a key for writing, adding a zero one where there is none. It is valid until its key is deleted.
// Every access counts as a write.
func (b *Boxed[K, S]) Row(h uint64, k *K) (row *S, isNew bool) {
	box, isNew := b.Table.Row(h, k)
	if isNew {
		*box = b.make()
		b.live++
	}
	return *box, isNew
}

// Lookup returns the row of a key for reading, or nil. It is valid until its key is deleted.
func (b *Boxed[K, S]) Lookup(h uint64, k *K) *S {
	if box := b.Table.Lookup(h, k); box != nil {
		return *box
	}
	return nil
}

// Resolve is that of Table; the rows, too, are asked for.
func (b *Boxed[K, S]) Resolve(hashes []uint64, at int, keys []K) *[PrefetchGroup]*S {
	boxes := b.Table.Resolve(hashes, at, keys)
	b.lent = true
	for i, box := range boxes {
		b.found[i] = nil
		if box != nil {
			b.found[i] = *box
		}
	}
	if canPrefetch && b.live*int(unsafe.Sizeof(*new(S))) >= prefetchBytesMin {
		prefetch((*addresses)(unsafe.Pointer(&b.found)), min(PrefetchGroup, len(hashes)-at))
	}
	return &b.found
}

// make returns a zero row.
func (b *Boxed[K, S]) make() *S {
	if n := len(b.free); n > 0 {
		row := b.free[n-1]
		b.free = b.free[:n-1]
		return row
	}
	if len(b.chunk) == 0 {
		b.chunk = make([]S, b.rows)
		b.rows = min(2*b.rows, max(chunkRowsMin, chunkBytes/int(unsafe.Sizeof(*new(S)))))
	}
	row := &b.chunk[0]
	b.chunk = b.chunk[1:]
	return row
}

// Delete drops the row of a key, which Row has lent, and reports whether there was one.
func (b *Boxed[K, S]) Delete(h uint64, k *K) bool {
	row := b.Lookup(h, k)
	if row == nil {
		return false
	}
	b.Table.Delete(h, k) // what a snapshot needs of the row is encoded now
	b.live--
	if b.lent {
		clear(b.found[:])
		b.lent = false
	}
	if n := len(b.free); n > b.live+chunkRowsMin {
		b.free[n-1] = nil
		b.free = b.free[:n-1]
		return true
	}
	*row = *new(S)
	b.free = append(b.free, row)
	return true
}

// Restore implements statebackend.State.
func (b *Boxed[K, S]) Restore(r statebackend.Reader) error {
	err := b.Table.Restore(r)
	b.live = int(b.Table.Size().Rows)
	return err
}

// Vacant reports whether a row is as if it were new.
func (b *Boxed[K, S]) Vacant(row *S) bool { return reflect.ValueOf(row).Elem().IsZero() }

// Size implements statebackend.State. What rows point to is not counted.
func (b *Boxed[K, S]) Size() statebackend.Size {
	n := b.Table.Size()
	n.Bytes += (n.Rows + int64(len(b.chunk)+len(b.free))) * int64(unsafe.Sizeof(*new(S)))
	return n
}

// Close gives the memory back; the table is not used afterwards.
func (b *Boxed[K, S]) Close() error {
	b.chunk, b.free = nil, nil
	clear(b.found[:])
	return b.Table.Close()
}

var _ statebackend.State = (*Boxed[int64, int64])(nil)
