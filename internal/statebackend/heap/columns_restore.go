// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
)

// The data of a block (docs/formats/state.md):
//
//	version, size, slide, shift, lateness, { rows, entries } ...
const columnsVersion = 1

func (c *Columns[K, A]) appendHeader(dst []byte) []byte {
	w := c.config.Slicing
	dst = append(dst, columnsVersion)
	for _, n := range []int64{w.Size, w.Slide, w.Shift, w.Lateness} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	return dst
}

func (c *Columns[K, A]) appendRows(dst []byte, rows []ColumnsRow[K, A]) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(rows)))
	return c.codec.Append(dst, rows)
}

// Restore implements statebackend.State. What the key group had no use for any more, by the watermark that it had seen,
// is left out by RestoreAfter.
func (c *Columns[K, A]) Restore(r statebackend.Reader) error {
	return c.RestoreAfter(r, func(int) int64 { return math.MinInt64 })
}

// RestoreAfter is Restore for key groups that have seen watermarks: increments don't tell of slices that were removed,
// since the watermark does.
func (c *Columns[K, A]) RestoreAfter(r statebackend.Reader, seen func(group int) int64) error {
	stored := r.Schema(c.config.Name)
	if stored == nil {
		return nil
	}
	if err := c.restore(r, stored, seen); err != nil {
		return fmt.Errorf("restore state %s: %w", c.config.Name, err)
	}
	c.before, c.peak = c.count, c.count
	return nil
}

func (c *Columns[K, A]) restore(r statebackend.Reader, stored []byte, seen func(group int) int64) error {
	written, err := codec.UnmarshalSchema(stored)
	if err != nil {
		return err
	}
	rows, err := c.codec.Reader(written)
	if err != nil {
		return err
	}
	for b, err := range r.Blocks(c.config.Name) {
		if err != nil {
			return err
		}
		if b.Kind != statebackend.Keyed {
			return fmt.Errorf("block of kind %d in columns: %w", b.Kind, codec.ErrCorrupt)
		}
		if !c.config.Groups.Contains(b.KeyGroup) {
			continue
		}
		if err := c.restoreBlock(rows, b, seen(b.KeyGroup)); err != nil {
			return fmt.Errorf("key group %d: %w", b.KeyGroup, err)
		}
	}
	c.rows = nil
	return nil
}

func (c *Columns[K, A]) restoreBlock(rows *codec.Reader[ColumnsRow[K, A]], b statebackend.Block, seen int64) error {
	d := &blockReader{data: b.Data}
	if v := d.byte(); d.err == nil && v != columnsVersion {
		return fmt.Errorf("block of version %d, this program reads %d", v, columnsVersion)
	}
	var was Slicing
	for _, n := range []*int64{&was.Size, &was.Slide, &was.Shift, &was.Lateness} {
		*n = int64(d.count(math.MaxInt64))
	}
	if d.err != nil {
		return d.err
	}
	if err := was.validate(); err != nil {
		return fmt.Errorf("%w: %w", err, codec.ErrCorrupt)
	}
	if err := c.config.Slicing.canRead(was); err != nil {
		return err
	}
	left := b.Rows
	for left > 0 && d.err == nil {
		n := d.count(chunkRowsMax)
		if d.err == nil && n == 0 {
			d.err = fmt.Errorf("chunk without rows: %w", codec.ErrCorrupt)
		}
		if d.err != nil {
			break
		}
		left -= n
		if cap(c.rows) < n {
			c.rows = make([]ColumnsRow[K, A], n)
		}
		chunk := c.rows[:n]
		clear(chunk)
		if d.data, d.err = rows.Decode(d.data, chunk, codec.Owned); d.err != nil {
			break
		}
		for i := range chunk {
			if err := c.restoreRow(&chunk[i], b.KeyGroup, was, seen); err != nil {
				return err
			}
		}
	}
	if d.err == nil && (left < 0 || len(d.data) > 0) {
		return fmt.Errorf("rows don't fill the block: %w", codec.ErrCorrupt)
	}
	return d.err
}

func (c *Columns[K, A]) restoreRow(row *ColumnsRow[K, A], want int, was Slicing, seen int64) error {
	h := c.hash(&row.Key)
	if group, _ := keys.Group(h, c.config.MaxParallelism); group != want {
		return fmt.Errorf("a key of key group %d: %w", group, codec.ErrCorrupt)
	}
	now := c.config.Slicing
	if start, _, covered := was.Slice(row.Slice); start != row.Slice || !covered || !was.Contains(row.Slice) {
		return fmt.Errorf("a slice at %d of windows %v: %w", row.Slice, was, codec.ErrCorrupt)
	}
	if was.Gone(was.LastEnd(row.Slice), seen) || now.Gone(now.LastEnd(row.Slice), seen) {
		return nil
	}
	*c.Cell(c.Slice(row.Slice), c.id(h, &row.Key)) = row.Acc
	return nil
}
