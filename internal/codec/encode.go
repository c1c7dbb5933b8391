// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"encoding"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"
	"unsafe"

	"github.com/weir-stream/weir/internal/invariants"
)

// blobHeader is the size of the number of bytes in strings, which comes first where rows have any.
const blobHeader = 8

type encoder struct {
	dst  []byte
	blob uint64
	*scratch
}

// columns encodes n elements of p that segs hold. Invariant: n is the sum over segs, and positive.
func (e *encoder) columns(p *plan, segs []seg, n int) {
	if invariants.Enabled {
		checkSegs(segs, n)
	}
	for i := range p.ops {
		e.column(&p.ops[i], segs, p.size, n)
	}
}

func (e *encoder) column(o *op, segs []seg, stride uintptr, n int) {
	switch o.kind {
	case opInt64:
		e.dst = appendInts[int64](e.dst, segs, o.off, stride, n)
	case opString:
		e.strings(o, segs, stride, n)
	case opBool:
		e.dst = appendBools(e.dst, segs, o.off, stride, n)
	case opInt8:
		e.dst = appendInts[int8](e.dst, segs, o.off, stride, n)
	case opInt16:
		e.dst = appendInts[int16](e.dst, segs, o.off, stride, n)
	case opInt32:
		e.dst = appendInts[int32](e.dst, segs, o.off, stride, n)
	case opUint8:
		e.dst = appendInts[uint8](e.dst, segs, o.off, stride, n)
	case opUint16:
		e.dst = appendInts[uint16](e.dst, segs, o.off, stride, n)
	case opUint32:
		e.dst = appendInts[uint32](e.dst, segs, o.off, stride, n)
	case opUint64:
		e.dst = appendInts[uint64](e.dst, segs, o.off, stride, n)
	case opFloat32:
		e.dst = appendFloat32s(e.dst, segs, o.off, stride, n)
	case opFloat64:
		e.dst = appendFloat64s(e.dst, segs, o.off, stride, n)
	case opBytes:
		e.bytes(o, segs, stride, n)
	case opTime:
		e.times(o, segs, stride, n)
	case opArray:
		e.arrays(o, segs, stride, n)
	case opSlice:
		e.slices(o, segs, stride, n)
	case opMap:
		e.maps(o, segs, stride, n)
	case opPointer:
		e.pointers(o, segs, stride, n)
	case opBoxed:
		e.boxed(o, segs, stride, n)
	case opBinary:
		e.binaries(o, segs, stride, n)
	case opSkip:
		// Only plans of readers skip.
	}
}

func appendBools(dst []byte, segs []seg, off, stride uintptr, n int) []byte {
	dst = slices.Grow(dst, (n+7)/8)
	bit, acc := 0, byte(0)
	for _, s := range segs {
		o := off
		for range s.n {
			if *(*bool)(unsafe.Add(s.base, o)) {
				acc |= 1 << bit
			}
			o += stride
			if bit++; bit == 8 {
				dst = append(dst, acc)
				bit, acc = 0, 0
			}
		}
	}
	if bit > 0 {
		dst = append(dst, acc)
	}
	return dst
}

func appendFloat32s(dst []byte, segs []seg, off, stride uintptr, n int) []byte {
	end := len(dst)
	dst = slices.Grow(dst, 4*n)[:end+4*n]
	out := dst[end:]
	for _, s := range segs {
		o := off
		for i := range s.n {
			binary.LittleEndian.PutUint32(out[4*i:], math.Float32bits(*(*float32)(unsafe.Add(s.base, o))))
			o += stride
		}
		out = out[4*s.n:]
	}
	return dst
}

func appendFloat64s(dst []byte, segs []seg, off, stride uintptr, n int) []byte {
	end := len(dst)
	dst = slices.Grow(dst, 8*n)[:end+8*n]
	out := dst[end:]
	for _, s := range segs {
		o := off
		for i := range s.n {
			binary.LittleEndian.PutUint64(out[8*i:], math.Float64bits(*(*float64)(unsafe.Add(s.base, o))))
			o += stride
		}
		out = out[8*s.n:]
	}
	return dst
}

// strings writes the lengths and then all contents.
func (e *encoder) strings(o *op, segs []seg, stride uintptr, n int) {
	lo, hi, total := uint64(math.MaxUint64), uint64(0), 0
	for _, s := range segs {
		at := o.off
		for range s.n {
			size := len(*(*string)(unsafe.Add(s.base, at)))
			lo, hi = min(lo, uint64(size)), max(hi, uint64(size))
			total += size
			at += stride
		}
	}
	width := deltaWidth(hi - lo)
	dst, lengths := appendIntHeader(slices.Grow(e.dst, 9+n*width+total), lo, deltaWidth(lo), width, n)
	end := len(dst)
	e.dst = dst[:end+total]
	e.blob += uint64(total)
	out := e.dst[end:]
	i := 0
	for _, s := range segs {
		at := o.off
		for range s.n {
			str := *(*string)(unsafe.Add(s.base, at))
			switch width {
			case 1:
				lengths[i] = byte(uint64(len(str)) - lo)
			case 2:
				binary.LittleEndian.PutUint16(lengths[2*i:], uint16(uint64(len(str))-lo))
			case 4:
				binary.LittleEndian.PutUint32(lengths[4*i:], uint32(uint64(len(str))-lo))
			case 8:
				binary.LittleEndian.PutUint64(lengths[8*i:], uint64(len(str))-lo)
			}
			out = out[copy(out, str):]
			at += stride
			i++
		}
	}
}

func (e *encoder) bytes(o *op, segs []seg, stride uintptr, n int) {
	mark := len(e.ints)
	lengths, total := e.pushInts(n), 0
	i := 0
	for _, s := range segs {
		for k := range s.n {
			lengths[i] = 0
			if b := *(*[]byte)(unsafe.Add(s.base, o.off+uintptr(k)*stride)); b != nil {
				lengths[i] = int64(len(b)) + 1
				total += len(b)
			}
			i++
		}
	}
	e.lengths(lengths)
	e.ints = e.ints[:mark]
	e.blob += uint64(total)
	e.dst = slices.Grow(e.dst, total)
	for _, s := range segs {
		for k := range s.n {
			e.dst = append(e.dst, *(*[]byte)(unsafe.Add(s.base, o.off+uintptr(k)*stride))...)
		}
	}
}

// times writes seconds since 1970 and, in a column of their own, nanoseconds: every instant fits, the zero one too.
func (e *encoder) times(o *op, segs []seg, stride uintptr, n int) {
	mark := len(e.ints)
	both := e.pushInts(2 * n)
	secs, nanos := both[:n], both[n:]
	i := 0
	for _, s := range segs {
		for k := range s.n {
			t := (*time.Time)(unsafe.Add(s.base, o.off+uintptr(k)*stride))
			secs[i], nanos[i] = t.Unix(), int64(t.Nanosecond())
			i++
		}
	}
	e.dst = appendInts[int64](e.dst, []seg{{unsafe.Pointer(&secs[0]), n}}, 0, 8, n)
	e.dst = appendInts[int64](e.dst, []seg{{unsafe.Pointer(&nanos[0]), n}}, 0, 8, n)
	e.ints = e.ints[:mark]
}

// binaries writes what the values marshal themselves to: a length and the bytes, row by row.
func (e *encoder) binaries(o *op, segs []seg, stride uintptr, _ int) {
	for _, s := range segs {
		for k := range s.n {
			v := reflect.NewAt(o.typ, unsafe.Add(s.base, o.off+uintptr(k)*stride)).Interface()
			data, err := v.(encoding.BinaryMarshaler).MarshalBinary()
			if err != nil {
				panic(fmt.Errorf("encode field %s: %w", o.name, err))
			}
			e.dst = binary.AppendUvarint(e.dst, uint64(len(data)))
			e.dst = append(e.dst, data...)
		}
	}
}

// putBlobSize fills in the header that was left open.
func putBlobSize(header []byte, size uint64) { binary.LittleEndian.PutUint64(header, size) }
