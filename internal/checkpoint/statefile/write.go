// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package statefile

import (
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/statebackend"
)

// output is the file as the writing goroutine sees it.
type output struct {
	b      *Builder
	file   File
	offset int64
	// blocks by operator and state number.
	blocks [][][]indexBlock
	zstd   *zstd.Encoder
	packed []byte
}

// write is the writing goroutine.
func (b *Builder) write() {
	o := &output{b: b}
	for {
		buffer, end, err := b.next()
		if err == nil && buffer != nil {
			// All that there is, and little: no file.
			if end != nil && o.file == nil && len(buffer) <= b.options.InlineBytes {
				end.done(o.inline(buffer, end), nil)
				return
			}
			err = o.put(buffer)
			b.wrote(buffer, err)
		}
		switch {
		case err != nil:
			if o.file != nil {
				err = errors.Join(err, o.file.Abort())
			}
			if end = b.fail(err); end != nil {
				end.done(nil, err)
			}
			return
		case end != nil:
			written, err := o.finish(end)
			end.done(written, err)
			return
		}
	}
}

// next waits for a buffer, and returns it, or for the end. With the last buffer comes the end too.
func (b *Builder) next() (buffer []byte, end *ending, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.mu.aborted && len(b.mu.queue) == 0 && b.mu.last == nil {
		b.mu.wake.Wait()
	}
	if b.mu.aborted {
		return nil, nil, ErrAborted
	}
	if len(b.mu.queue) > 0 {
		buffer = b.mu.queue[0]
		b.mu.queue = b.mu.queue[1:]
	}
	if len(b.mu.queue) == 0 {
		end = b.mu.last
	}
	return buffer, end, nil
}

// wrote takes a buffer back.
func (b *Builder) wrote(buffer []byte, err error) {
	b.mu.Lock()
	b.mu.err = err
	b.mu.held--
	b.mu.bytes -= len(buffer)
	if cap(buffer) == b.options.BufferBytes {
		b.mu.free = append(b.mu.free, buffer[:0])
	}
	refused := b.mu.refused
	b.mu.refused = false
	b.mu.Unlock()
	if refused && b.roomy != nil {
		b.roomy()
	}
}

// fail waits for the end of a file that is lost, so that it is reported there and by each Write until then. What is in the
// buffers will not be written.
func (b *Builder) fail(err error) *ending {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.err = err
	b.mu.queue, b.mu.free = nil, nil
	for !b.mu.aborted && b.mu.last == nil {
		b.mu.wake.Wait()
	}
	return b.mu.last
}

// put writes the blocks of a buffer, sealed.
func (o *output) put(buffer []byte) error {
	if o.file == nil {
		f, err := o.b.create()
		if err != nil {
			return err
		}
		o.file = f
		if o.b.options.Compress {
			if o.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1)); err != nil {
				return fmt.Errorf("zstd: %w", err)
			}
		}
		if err := o.raw(appendHeader(nil)); err != nil {
			return err
		}
	}
	sealed := o.seal(buffer, o.offset)
	return o.raw(sealed)
}

func (o *output) raw(b []byte) error {
	_, err := o.file.Write(b)
	o.offset += int64(len(b))
	return err
}

// seal completes the headers of all blocks of a buffer, compresses them if that is asked for, and notes where they go:
// the first at offset. The result is the buffer itself, or valid until the next call.
func (o *output) seal(buffer []byte, offset int64) []byte {
	out := buffer
	if o.zstd != nil {
		out = o.packed[:0]
	}
	for at := 0; at < len(buffer); {
		var h blockHeader
		h.get(buffer[at:])
		block := buffer[at : at+blockBytes+int(h.stored)]
		at += len(block)
		if o.zstd != nil {
			start := len(out)
			out = o.compress(out, block, &h)
			block = out[start:]
			o.note(&h, offset+int64(start), seal(block))
			continue
		}
		o.note(&h, offset+int64(at-len(block)), seal(block))
	}
	if o.zstd != nil {
		o.packed = out
	}
	return out
}

// compress appends a block, its data compressed if that is worth it.
func (o *output) compress(out, block []byte, h *blockHeader) []byte {
	start := len(out)
	out = append(out, block[:blockBytes]...)
	out = o.zstd.EncodeAll(block[blockBytes:], out)
	n := len(out) - start - blockBytes
	if n > len(block[blockBytes:])*7/8 {
		return append(out[:start], block...)
	}
	h.stored, h.flags = uint32(n), h.flags|flagZstd
	h.put(out[start:])
	return out
}

func (o *output) note(h *blockHeader, offset int64, crc uint32) {
	for len(o.blocks) <= int(h.operator) {
		o.blocks = append(o.blocks, nil)
	}
	op := &o.blocks[h.operator]
	for len(*op) <= int(h.state) {
		*op = append(*op, nil)
	}
	s := &(*op)[h.state]
	*s = append(*s, indexBlock{offset: offset, stored: h.stored, rows: h.rows, keyGroup: h.keyGroup, kind: h.kind, crc: crc})
}

// finish writes index and trailer, and makes the file durable. A snapshot without blocks makes none.
func (o *output) finish(end *ending) ([]Written, error) {
	if o.file == nil {
		return o.written(end, checkpoint.Segment{}), nil
	}
	if o.zstd != nil {
		_ = o.zstd.Close() // it holds no data: EncodeAll leaves none
	}
	tail, crc := o.index(end).tail(o.offset)
	err := o.raw(tail)
	if err == nil {
		err = o.file.Close()
	}
	if err != nil {
		return nil, errors.Join(err, o.file.Abort())
	}
	return o.written(end, checkpoint.Segment{Checkpoint: o.b.checkpoint, Path: o.b.path, Size: o.offset, Checksum: crc}), nil
}

// tail encodes index and trailer, to be put at an offset.
func (x *index) tail(offset int64) (tail []byte, crc uint32) {
	tail = x.append(nil)
	crc = checkpoint.Checksum(tail)
	return trailer{offset: offset, length: len(tail), crc: crc}.append(tail), crc
}

// index of the whole file, in order of operator number.
func (o *output) index(end *ending) *index {
	x := &index{}
	for i, w := range end.operators {
		op := indexOperator{id: w.Operator}
		for _, s := range w.States {
			op.states = append(op.states, indexState{name: s.Name, schema: s.Schema, blocks: o.of(end, i, s.Name)})
		}
		x.operators = append(x.operators, op)
	}
	return x
}

// of returns the blocks of a state of the i-th operator of end.
func (o *output) of(end *ending, i int, state string) []indexBlock {
	n := o.b.numberOf(end.operators[i].Operator)
	for s, name := range end.names[n] {
		if name == state && n < len(o.blocks) && s < len(o.blocks[n]) {
			return o.blocks[n][s]
		}
	}
	return nil
}

// numberOf is called after Finish, when the task's goroutine adds no operators any more.
func (b *Builder) numberOf(id checkpoint.OperatorID) int {
	for i, w := range b.operators {
		if w.id == id {
			return i
		}
	}
	return -1
}

// written lists what each operator has in a segment.
func (o *output) written(end *ending, seg checkpoint.Segment) []Written {
	all := make([]Written, len(end.operators))
	for i, op := range end.operators {
		w := Written{Operator: op.Operator, Segment: seg}
		for _, s := range op.States {
			st := WrittenState{StateInfo: s}
			for _, k := range o.of(end, i, s.Name) {
				w.Segment.Bytes += blockBytes + int64(k.stored)
				st.Blocks++
				if st.Kind = k.kind; k.kind == statebackend.Deleted {
					st.Kind = statebackend.Keyed
				}
				if k.kind == statebackend.List {
					st.Rows += int64(k.rows)
				}
			}
			w.States = append(w.States, st)
		}
		if w.Segment.Bytes == 0 {
			w.Segment = checkpoint.Segment{}
		}
		all[i] = w
	}
	return all
}

// inline makes a small file for each operator, to be kept in the metadata.
func (o *output) inline(buffer []byte, end *ending) []Written {
	o.seal(buffer, 0)
	all := o.written(end, checkpoint.Segment{Checkpoint: o.b.checkpoint})
	for i := range all {
		if all[i].Segment.Bytes == 0 {
			continue
		}
		image := appendHeader(make([]byte, 0, headerBytes+int(all[i].Segment.Bytes)+256))
		op := indexOperator{id: all[i].Operator}
		for _, s := range end.operators[i].States {
			st := indexState{name: s.Name, schema: s.Schema}
			for _, k := range o.of(end, i, s.Name) {
				block := buffer[k.offset:k.end()]
				k.offset = int64(len(image))
				image = append(image, block...)
				st.blocks = append(st.blocks, k)
			}
			op.states = append(op.states, st)
		}
		x := index{operators: []indexOperator{op}}
		tail, crc := x.tail(int64(len(image)))
		image = append(image, tail...)
		seg := &all[i].Segment
		seg.Inline, seg.Size, seg.Checksum = image, int64(len(image)), crc
	}
	return all
}
