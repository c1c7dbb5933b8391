// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package statebackend

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"unsafe"

	"github.com/weir-stream/weir/internal/codec"
)

// listBlockRows is the most rows that OperatorList writes into a block.
const listBlockRows = 1024

// OperatorList is state of a subtask that belongs to no key: splits, offsets, what a sink has in progress. It is small,
// so the snapshot is encoded when it begins and is always full.
type OperatorList[E any] struct {
	name     string
	kind     Kind
	codec    *codec.Codec[E]
	schema   []byte
	elements []E

	// pending are the encoded blocks of the snapshot that runs; running is the id of its checkpoint.
	pending []Block
	running int64
}

// NewList makes an empty list; kind is List or Union.
func NewList[E any](name string, kind Kind) (*OperatorList[E], error) {
	if kind != List && kind != Union {
		return nil, fmt.Errorf("state %s: a list can't be of kind %d", name, kind)
	}
	c, err := codec.For[E]()
	if err != nil {
		return nil, fmt.Errorf("state %s: %w", name, err)
	}
	return &OperatorList[E]{name: name, kind: kind, codec: c, schema: c.Schema().Marshal()}, nil
}

// Elements returns what the list holds; it is valid until Set, and not to be changed in place while a snapshot begins.
func (l *OperatorList[E]) Elements() []E { return l.elements }

// Set replaces the elements; the list keeps the slice.
func (l *OperatorList[E]) Set(elements []E) { l.elements = elements }

// Name implements State.
func (l *OperatorList[E]) Name() string { return l.name }

// Schema implements State.
func (l *OperatorList[E]) Schema() []byte { return l.schema }

// Begin encodes the elements.
func (l *OperatorList[E]) Begin(cp Checkpoint) error {
	l.pending = l.pending[:0]
	l.running = cp.ID
	for rows := range slices.Chunk(l.elements, listBlockRows) {
		l.pending = append(l.pending, Block{
			State: l.name, Kind: l.kind, KeyGroup: NoKeyGroup, Rows: len(rows), Data: l.codec.Append(nil, rows),
		})
	}
	return nil
}

// Step writes the blocks that w has room for.
func (l *OperatorList[E]) Step(w Writer, _ int) (done bool, err error) {
	for len(l.pending) > 0 && w.Room() {
		if err := w.Write(l.pending[0]); err != nil {
			return false, fmt.Errorf("state %s: %w", l.name, err)
		}
		l.pending = l.pending[1:]
	}
	if len(l.pending) > 0 {
		return false, nil
	}
	l.pending = nil
	return true, nil
}

// Crowded implements State: a list holds nothing back.
func (l *OperatorList[E]) Crowded() bool { return false }

// Base implements State: a list is always full.
func (l *OperatorList[E]) Base() []int64 { return nil }

// Completed implements State.
func (l *OperatorList[E]) Completed(int64) error { return nil }

// Aborted drops the blocks that are not written yet.
func (l *OperatorList[E]) Aborted(checkpoint int64) error {
	if checkpoint == l.running {
		l.pending = nil
	}
	return nil
}

// Restore appends the elements that the reader deals out to this subtask.
func (l *OperatorList[E]) Restore(r Reader) error {
	stored := r.Schema(l.name)
	if stored == nil {
		return nil
	}
	if err := l.restore(r, stored); err != nil {
		return fmt.Errorf("restore state %s: %w", l.name, err)
	}
	return nil
}

func (l *OperatorList[E]) restore(r Reader, stored []byte) error {
	written, err := codec.UnmarshalSchema(stored)
	if err != nil {
		return err
	}
	rows, err := l.codec.Reader(written)
	if err != nil {
		return err
	}
	from, to, err := l.share(r)
	if err != nil {
		return err
	}
	at := 0
	return decodeBlocks(r.Blocks(l.name), l.kind, func(b Block) error {
		first := at
		at += b.Rows
		if at <= from || first >= to {
			return nil
		}
		decoded := make([]E, b.Rows)
		rest, err := rows.Decode(b.Data, decoded, codec.Owned)
		if err == nil && len(rest) > 0 {
			err = fmt.Errorf("block has %d bytes too many: %w", len(rest), codec.ErrCorrupt)
		}
		if err != nil {
			return err
		}
		l.elements = append(l.elements, decoded[max(0, from-first):min(b.Rows, to-first)]...)
		return nil
	})
}

// share is the range of rows of this subtask.
func (l *OperatorList[E]) share(r Reader) (from, to int, err error) {
	if l.kind == List {
		return r.ListShare(l.name)
	}
	return 0, math.MaxInt, nil
}

func decodeBlocks(blocks iter.Seq2[Block, error], kind Kind, decode func(Block) error) error {
	for b, err := range blocks {
		if err != nil {
			return err
		}
		if b.Kind != kind {
			return fmt.Errorf("block of kind %d in a list of kind %d: %w", b.Kind, kind, codec.ErrCorrupt)
		}
		if b.Rows < 0 || b.Rows > listBlockRows {
			return fmt.Errorf("block of %d rows: %w", b.Rows, codec.ErrCorrupt)
		}
		if err := decode(b); err != nil {
			return err
		}
	}
	return nil
}

// Size implements State; what elements point to is not counted.
func (l *OperatorList[E]) Size() Size {
	var e E
	return Size{Rows: int64(len(l.elements)), Bytes: int64(len(l.elements)) * int64(unsafe.Sizeof(e))}
}

var _ State = (*OperatorList[int64])(nil)
