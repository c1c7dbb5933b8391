// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package statefile

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/statebackend"
)

// Version is the format that is written; it and all before are read.
const Version = 1

// All numbers are little endian.
//
//	header   magic 8 | version u32 | zero u32
//	block    crc32c u32 (of all that follows) | stored length u32 | length u32 | rows u32 | key group i32 |
//	         operator u16 | state u16 | kind u8 | flags u8 | zero u16 | data
//	index    see index.go
//	trailer  offset of index u64 | length of index u32 | crc32c of index u32 | magic 8
const (
	headerMagic  = "WEIRSTAT"
	trailerMagic = "WEIRSEND"
	headerBytes  = 16
	blockBytes   = 28
	trailerBytes = 24

	// flagZstd marks data that is compressed.
	flagZstd = 1
)

// blockBytesMax bounds a block, before and after compression.
const blockBytesMax = 1 << 30

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// blockHeader is the fixed part of a block.
type blockHeader struct {
	crc            uint32
	stored, length uint32
	rows           uint32
	keyGroup       int32
	operator       uint16
	state          uint16
	kind           statebackend.Kind
	flags          uint8
}

// put writes the header, without the checksum.
func (h *blockHeader) put(b []byte) {
	_ = b[blockBytes-1]
	binary.LittleEndian.PutUint32(b[4:], h.stored)
	binary.LittleEndian.PutUint32(b[8:], h.length)
	binary.LittleEndian.PutUint32(b[12:], h.rows)
	binary.LittleEndian.PutUint32(b[16:], uint32(h.keyGroup))
	binary.LittleEndian.PutUint16(b[20:], h.operator)
	binary.LittleEndian.PutUint16(b[22:], h.state)
	b[24], b[25], b[26], b[27] = byte(h.kind), h.flags, 0, 0
}

func (h *blockHeader) get(b []byte) {
	_ = b[blockBytes-1]
	h.crc = binary.LittleEndian.Uint32(b)
	h.stored = binary.LittleEndian.Uint32(b[4:])
	h.length = binary.LittleEndian.Uint32(b[8:])
	h.rows = binary.LittleEndian.Uint32(b[12:])
	h.keyGroup = int32(binary.LittleEndian.Uint32(b[16:]))
	h.operator = binary.LittleEndian.Uint16(b[20:])
	h.state = binary.LittleEndian.Uint16(b[22:])
	h.kind, h.flags = statebackend.Kind(b[24]), b[25]
}

// seal computes the checksum of a whole block and puts it in.
func seal(block []byte) uint32 {
	crc := crc32.Checksum(block[4:], castagnoli)
	binary.LittleEndian.PutUint32(block, crc)
	return crc
}

func appendHeader(b []byte) []byte {
	b = append(b, headerMagic...)
	b = binary.LittleEndian.AppendUint32(b, Version)
	return append(b, 0, 0, 0, 0)
}

func checkHeader(b []byte) error {
	if len(b) < headerBytes || string(b[:8]) != headerMagic {
		return fmt.Errorf("%w: offset 0: no state file", checkpoint.ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v == 0 || v > Version {
		return fmt.Errorf("%w: state file of format %d, this one reads up to %d", checkpoint.ErrVersion, v, Version)
	}
	return nil
}

type trailer struct {
	offset int64
	length int
	crc    uint32
}

func (t trailer) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(t.offset))
	b = binary.LittleEndian.AppendUint32(b, uint32(t.length))
	b = binary.LittleEndian.AppendUint32(b, t.crc)
	return append(b, trailerMagic...)
}

// parseTrailer reads the trailer of a file of that size.
func parseTrailer(b []byte, size int64) (t trailer, err error) {
	t.offset = int64(binary.LittleEndian.Uint64(b))
	t.length = int(binary.LittleEndian.Uint32(b[8:]))
	t.crc = binary.LittleEndian.Uint32(b[12:])
	if string(b[16:]) != trailerMagic || t.offset < headerBytes || t.offset+int64(t.length)+trailerBytes != size {
		return t, fmt.Errorf("%w: offset %d: no trailer", checkpoint.ErrCorrupt, size-trailerBytes)
	}
	return t, nil
}
