// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"encoding/binary"
	"fmt"

	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
)

// The data of a block (docs/formats/state.md):
//
//	version, rows of the key group, names of timed fields, { rows, entries, times of each timed field } ...

const blockVersion = 1

// What a block may claim, so that a corrupt one can't exhaust memory.
const (
	groupRowsMax = 1 << 40
	timedMax     = 1 << 10
	nameBytesMax = 1 << 10
	chunkRowsMax = 1 << 20
	// reserveRowsMax is the most rows of a key group for which room is made before they are seen.
	reserveRowsMax = 1 << 24
)

// appendHeader begins a block; x is nil in a table without times to live.
func (x *expiry) appendHeader(dst []byte, groupRows int) []byte {
	dst = append(dst, blockVersion)
	dst = binary.AppendUvarint(dst, uint64(groupRows))
	if x == nil {
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(x.width()))
	for _, f := range x.timed {
		dst = binary.AppendUvarint(dst, uint64(len(f.name)))
		dst = append(dst, f.name...)
	}
	return dst
}

// appendRows appends a chunk. stamps has the times row by row, or is empty: then there are none.
func (t *Table[K, S]) appendRows(dst []byte, rows []Entry[K, S], stamps []int64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(rows)))
	dst = t.codec.Append(dst, rows)
	if t.ttl == nil {
		return dst
	}
	return t.ttl.appendTimes(dst, t.times, stamps, len(rows))
}

// appendTimes appends the times of rows rows, field by field.
func (x *expiry) appendTimes(dst []byte, times *codec.Codec[int64], stamps []int64, rows int) []byte {
	width := x.width()
	column := make([]int64, rows)
	for f := range width {
		for i := range rows {
			column[i] = 0
			if len(stamps) > 0 {
				column[i] = stamps[i*width+f]
			}
		}
		dst = times.Append(dst, column)
	}
	return dst
}

// Restore implements statebackend.State.
func (t *Table[K, S]) Restore(r statebackend.Reader) error {
	stored := r.Schema(t.config.Name)
	if stored == nil {
		return nil
	}
	if err := t.restore(r, stored); err != nil {
		return fmt.Errorf("restore state %s: %w", t.config.Name, err)
	}
	return nil
}

func (t *Table[K, S]) restore(r statebackend.Reader, stored []byte) error {
	written, err := codec.UnmarshalSchema(stored)
	if err != nil {
		return err
	}
	rows, err := t.codec.Reader(written)
	if err != nil {
		return err
	}
	for b, err := range r.Blocks(t.config.Name) {
		if err != nil {
			return err
		}
		if err := t.restoreBlock(rows, b); err != nil {
			return fmt.Errorf("key group %d: %w", b.KeyGroup, err)
		}
	}
	t.rows = nil
	return nil
}

func (t *Table[K, S]) restoreBlock(rows *codec.Reader[Entry[K, S]], b statebackend.Block) error {
	if b.Kind != statebackend.Keyed && b.Kind != statebackend.Deleted {
		return fmt.Errorf("block of kind %d in a table: %w", b.Kind, codec.ErrCorrupt)
	}
	if !t.config.Groups.Contains(b.KeyGroup) {
		return nil
	}
	sg := &t.segs[b.KeyGroup-t.config.Groups.First]
	d := &blockReader{data: b.Data}
	groupRows, names, err := d.header()
	if err != nil {
		return err
	}
	if b.Kind == statebackend.Keyed {
		t.reserve(sg, min(groupRows, reserveRowsMax))
	}
	left := b.Rows
	for ; left > 0 && d.err == nil; left -= len(t.rows) {
		t.restoreChunk(rows, d, b.Kind, sg, names)
	}
	if d.err == nil && (left < 0 || len(d.data) > 0) {
		return fmt.Errorf("rows don't fill the block: %w", codec.ErrCorrupt)
	}
	return d.err
}

// restoreChunk takes in the rows of one chunk and leaves them in t.rows.
func (t *Table[K, S]) restoreChunk(rows *codec.Reader[Entry[K, S]], d *blockReader, kind statebackend.Kind, sg *segment[K, S], names []string) {
	n := d.chunk()
	if d.err != nil {
		return
	}
	if cap(t.rows) < n {
		t.rows = make([]Entry[K, S], n)
	}
	t.rows = t.rows[:n]
	clear(t.rows)
	if d.data, d.err = rows.Decode(d.data, t.rows, codec.Owned); d.err != nil {
		return
	}
	columns := d.times(t.times, len(names), n)
	if d.err != nil {
		return
	}
	for i := range t.rows {
		if d.err = t.restoreRow(kind, sg, i, names, columns); d.err != nil {
			return
		}
	}
}

func (t *Table[K, S]) restoreRow(kind statebackend.Kind, want *segment[K, S], row int, names []string, columns [][]int64) error {
	e := &t.rows[row]
	h, salt := t.hash(&e.Key)
	if group, _ := keys.Group(h, t.config.MaxParallelism); group != want.index+t.config.Groups.First {
		return fmt.Errorf("a key of key group %d: %w", group, codec.ErrCorrupt)
	}
	if kind == statebackend.Deleted {
		t.remove(h, salt, &e.Key)
		return nil
	}
	sg, i, _ := t.put(h, salt, &e.Key)
	sg.slots[i].state = e.State
	if t.ttl != nil {
		t.ttl.restored(sg.stampsOf(i), row, names, columns)
	}
	return nil
}

// blockReader reads the numbers of a block; the first error stays.
type blockReader struct {
	data []byte
	err  error
}

// header reads the rows of the key group and the names of timed fields.
func (d *blockReader) header() (groupRows int, names []string, err error) {
	if v := d.byte(); d.err == nil && v != blockVersion {
		return 0, nil, fmt.Errorf("block of version %d, this program reads %d", v, blockVersion)
	}
	groupRows = d.count(groupRowsMax)
	names = make([]string, d.count(timedMax))
	for i := range names {
		names[i] = d.string(nameBytesMax)
	}
	return groupRows, names, d.err
}

// chunk reads the number of rows of a chunk.
func (d *blockReader) chunk() int {
	n := d.count(chunkRowsMax)
	if d.err == nil && n == 0 {
		d.err = fmt.Errorf("chunk without rows: %w", codec.ErrCorrupt)
	}
	return n
}

// times reads the times of so many fields, for rows rows each.
func (d *blockReader) times(c *codec.Codec[int64], fields, rows int) [][]int64 {
	columns := make([][]int64, fields)
	for i := range columns {
		columns[i] = make([]int64, rows)
		if d.data, d.err = c.Decode(d.data, columns[i], codec.Owned); d.err != nil {
			return nil
		}
	}
	return columns
}

func (d *blockReader) byte() byte {
	if d.err == nil && len(d.data) == 0 {
		d.err = fmt.Errorf("block is cut off: %w", codec.ErrCorrupt)
	}
	if d.err != nil {
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return b
}

func (d *blockReader) count(most int) int {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.data)
	if n <= 0 || v > uint64(most) {
		d.err = fmt.Errorf("block has a bad number: %w", codec.ErrCorrupt)
		return 0
	}
	d.data = d.data[n:]
	return int(v)
}

func (d *blockReader) string(most int) string {
	n := d.count(most)
	if d.err == nil && n > len(d.data) {
		d.err = fmt.Errorf("block is cut off: %w", codec.ErrCorrupt)
	}
	if d.err != nil {
		return ""
	}
	s := string(d.data[:n])
	d.data = d.data[n:]
	return s
}
