// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package statefile

import (
	"encoding/binary"
	"fmt"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/statebackend"
)

// index says what a file holds. Encoded, it is a sequence of unsigned varints, texts and bytes with their length before
// them:
//
//	operators, and for each: id, states, and for each: name, schema, blocks, and for each:
//	kind, key group + 1, rows, offset - end of the state's block before, stored length, crc32c u32
type index struct{ operators []indexOperator }

type indexOperator struct {
	id     checkpoint.OperatorID
	states []indexState
}

type indexState struct {
	name   string
	schema []byte
	blocks []indexBlock
}

// indexBlock is where a block is; offset is that of its header.
type indexBlock struct {
	offset   int64
	stored   uint32
	rows     uint32
	keyGroup int32
	kind     statebackend.Kind
	crc      uint32
}

func (b indexBlock) end() int64 { return b.offset + blockBytes + int64(b.stored) }

func (x *index) find(op checkpoint.OperatorID, state string) *indexState {
	for i := range x.operators {
		if x.operators[i].id != op {
			continue
		}
		for j := range x.operators[i].states {
			if s := &x.operators[i].states[j]; s.name == state {
				return s
			}
		}
	}
	return nil
}

func appendBytes[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func (x *index) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(x.operators)))
	for _, op := range x.operators {
		b = appendBytes(b, string(op.id))
		b = binary.AppendUvarint(b, uint64(len(op.states)))
		for _, s := range op.states {
			b = appendBytes(b, s.name)
			b = appendBytes(b, s.schema)
			b = binary.AppendUvarint(b, uint64(len(s.blocks)))
			end := int64(0)
			for _, k := range s.blocks {
				b = binary.AppendUvarint(b, uint64(k.kind))
				b = binary.AppendUvarint(b, uint64(k.keyGroup+1))
				b = binary.AppendUvarint(b, uint64(k.rows))
				b = binary.AppendUvarint(b, uint64(k.offset-end))
				b = binary.AppendUvarint(b, uint64(k.stored))
				b = binary.LittleEndian.AppendUint32(b, k.crc)
				end = k.end()
			}
		}
	}
	return b
}

// indexReader reads an encoded index. After the first error all it returns is zero.
type indexReader struct {
	b   []byte
	bad bool
}

func (r *indexReader) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > limit || r.bad {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count is a number of elements that each take at least size bytes.
func (r *indexReader) count(size int) int { return int(r.uvarint(uint64(len(r.b) / size))) }

func (r *indexReader) bytes() []byte {
	n := r.count(1)
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

// parseIndex decodes the index of a file whose blocks end at dataEnd. The result aliases b.
func parseIndex(b []byte, dataEnd int64) (*index, error) {
	r := indexReader{b: b}
	x := &index{operators: make([]indexOperator, r.count(2))}
	for i := range x.operators {
		op := &x.operators[i]
		op.id = checkpoint.OperatorID(r.bytes())
		op.states = make([]indexState, r.count(3))
		for j := range op.states {
			s := &op.states[j]
			s.name = string(r.bytes())
			s.schema = r.bytes()
			s.blocks = r.blocks(dataEnd)
		}
	}
	if r.bad || len(r.b) > 0 {
		return nil, fmt.Errorf("%w: malformed index", checkpoint.ErrCorrupt)
	}
	return x, nil
}

func (r *indexReader) blocks(dataEnd int64) []indexBlock {
	blocks := make([]indexBlock, r.count(9))
	end := int64(0)
	for i := range blocks {
		k := &blocks[i]
		k.kind = statebackend.Kind(r.uvarint(255))
		k.keyGroup = int32(r.uvarint(1<<16)) - 1
		k.rows = uint32(r.uvarint(1<<32 - 1))
		k.offset = end + int64(r.uvarint(uint64(dataEnd)))
		k.stored = uint32(r.uvarint(blockBytesMax))
		if r.bad || len(r.b) < 4 || k.end() > dataEnd || k.offset < headerBytes {
			r.bad = true
			return nil
		}
		k.crc = binary.LittleEndian.Uint32(r.b)
		r.b = r.b[4:]
		end = k.end()
	}
	return blocks
}
