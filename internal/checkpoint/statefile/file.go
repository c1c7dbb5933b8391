// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package statefile

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/weir-stream/weir/internal/checkpoint"
)

// readIndex reads and checks the index of the segment's file.
func readIndex(r io.ReaderAt, size int64, seg *checkpoint.Segment) (*index, error) {
	if size != seg.Size {
		return nil, fmt.Errorf("%w: %d bytes, want %d", checkpoint.ErrCorrupt, size, seg.Size)
	}
	if size < headerBytes+trailerBytes {
		return nil, fmt.Errorf("%w: truncated: %d bytes", checkpoint.ErrCorrupt, size)
	}
	var fixed [headerBytes + trailerBytes]byte
	head, tail := fixed[:headerBytes], fixed[headerBytes:]
	if err := readAt(r, head, 0); err != nil {
		return nil, err
	}
	if err := checkHeader(head); err != nil {
		return nil, err
	}
	if err := readAt(r, tail, size-trailerBytes); err != nil {
		return nil, err
	}
	t, err := parseTrailer(tail, size)
	if err != nil {
		return nil, err
	}
	b := make([]byte, t.length)
	if err := readAt(r, b, t.offset); err != nil {
		return nil, err
	}
	if crc := checkpoint.Checksum(b); crc != t.crc || crc != seg.Checksum {
		return nil, fmt.Errorf("%w: offset %d: checksum of the index %08x, stored %08x, wanted %08x", checkpoint.ErrCorrupt, t.offset, crc, t.crc, seg.Checksum)
	}
	x, err := parseIndex(b, t.offset)
	if err != nil {
		return nil, fmt.Errorf("offset %d: %w", t.offset, err)
	}
	return x, nil
}

// readAt fills b. The end of the file is an error about the file.
func readAt(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: offset %d: truncated", checkpoint.ErrCorrupt, off+int64(n))
	}
	return fmt.Errorf("offset %d: %w", off, err)
}

// windowBytes is how much is read at once.
const windowBytes = 1 << 20

// blockReader reads blocks of one file, mostly in order.
type blockReader struct {
	r io.ReaderAt
	// end is that of the blocks.
	end int64
	// window holds the bytes of the file from offset on.
	window []byte
	offset int64
	zstd   *zstd.Decoder
	data   []byte
}

// read returns the header of a block and its data, which is valid until the next call.
func (b *blockReader) read(k *indexBlock) (blockHeader, []byte, error) {
	var h blockHeader
	if k.offset < b.offset || k.end() > b.offset+int64(len(b.window)) {
		if err := b.fill(k); err != nil {
			return h, nil, err
		}
	}
	block := b.window[k.offset-b.offset : k.end()-b.offset]
	h.get(block)
	if crc := checkpoint.Checksum(block[4:]); crc != h.crc || crc != k.crc || h.stored != k.stored {
		return h, nil, fmt.Errorf("%w: offset %d: checksum of a block %08x, stored %08x, index has %08x", checkpoint.ErrCorrupt, k.offset, crc, h.crc, k.crc)
	}
	data := block[blockBytes:]
	if h.flags&^flagZstd != 0 {
		return h, nil, fmt.Errorf("%w: offset %d: block with flags %#x", checkpoint.ErrVersion, k.offset, h.flags)
	}
	if h.flags&flagZstd != 0 {
		var err error
		if data, err = b.unpack(data, h.length); err != nil {
			return h, nil, fmt.Errorf("%w: offset %d: %w", checkpoint.ErrCorrupt, k.offset, err)
		}
	}
	if len(data) != int(h.length) {
		return h, nil, fmt.Errorf("%w: offset %d: block of %d bytes, want %d", checkpoint.ErrCorrupt, k.offset, len(data), h.length)
	}
	return h, data, nil
}

// fill reads on from a block.
func (b *blockReader) fill(k *indexBlock) error {
	n := max(k.end()-k.offset, min(windowBytes, b.end-k.offset))
	if int64(cap(b.window)) < n {
		b.window = make([]byte, n)
	}
	b.window, b.offset = b.window[:n], k.offset
	if err := readAt(b.r, b.window, k.offset); err != nil {
		b.window = b.window[:0]
		return err
	}
	return nil
}

func (b *blockReader) unpack(data []byte, length uint32) ([]byte, error) {
	if b.zstd == nil {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(blockBytesMax))
		if err != nil {
			return nil, err
		}
		b.zstd = d
	}
	if cap(b.data) < int(length) {
		b.data = make([]byte, 0, length)
	}
	var err error
	b.data, err = b.zstd.DecodeAll(data, b.data[:0])
	return b.data, err
}

func (b *blockReader) close() {
	if b.zstd != nil {
		b.zstd.Close()
	}
}

// Verify reads a whole file and checks every byte of it, of all operators. seg is any of its segments.
func Verify(r io.ReaderAt, size int64, seg *checkpoint.Segment) error {
	x, err := readIndex(r, size, seg)
	if err != nil {
		return err
	}
	b := blockReader{r: r, end: dataEnd(x)}
	defer b.close()
	for _, op := range x.operators {
		for _, s := range op.states {
			for i := range s.blocks {
				if _, _, err := b.read(&s.blocks[i]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func dataEnd(x *index) (end int64) {
	for _, op := range x.operators {
		for _, s := range op.states {
			if n := len(s.blocks); n > 0 {
				end = max(end, s.blocks[n-1].end())
			}
		}
	}
	return end
}
