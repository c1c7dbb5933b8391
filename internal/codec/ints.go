// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unsafe"
)

// integer is what a column of integers is encoded from.
type integer interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// unsigned is what a column of integers is decoded to: addition is the same for both signs, and the wider written column
// is cut to the size of the field.
type unsigned interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64
}

// seg is a run of n elements that lie stride bytes apart; base is the first. Rows are one seg, the children of slices are
// one a row. Invariant: n > 0, so that base points into an object.
type seg struct {
	base unsafe.Pointer
	n    int
}

// appendInts encodes a column of n integers: a byte with the width of the deltas (low nibble) and of the base (high
// nibble), the base, the deltas to it.
func appendInts[V integer](dst []byte, segs []seg, off, stride uintptr, n int) []byte {
	lo, hi := rangeOf[V](segs, off, stride)
	width := deltaWidth(uint64(hi) - uint64(lo))
	if unsafe.Sizeof(lo) == 1 && stride == 1 && width == 1 && !signed[V]() {
		dst, out := appendIntHeader(dst, 0, 0, 1, n)
		for _, s := range segs {
			out = out[copy(out, unsafe.Slice((*byte)(unsafe.Add(s.base, off)), s.n)):]
		}
		return dst
	}
	baseWidth := deltaWidth(uint64(lo))
	if signed[V]() {
		baseWidth = signedWidth(int64(lo))
	}
	dst, out := appendIntHeader(dst, uint64(lo), baseWidth, width, n)
	switch width {
	case 1:
		for _, s := range segs {
			part := out[:s.n]
			out = out[s.n:]
			o := off
			for i := range part {
				part[i] = byte(*(*V)(unsafe.Add(s.base, o)) - lo)
				o += stride
			}
		}
	case 2:
		for _, s := range segs {
			o := off
			for i := range s.n {
				binary.LittleEndian.PutUint16(out[2*i:], uint16(*(*V)(unsafe.Add(s.base, o))-lo))
				o += stride
			}
			out = out[2*s.n:]
		}
	case 4:
		for _, s := range segs {
			o := off
			for i := range s.n {
				binary.LittleEndian.PutUint32(out[4*i:], uint32(*(*V)(unsafe.Add(s.base, o))-lo))
				o += stride
			}
			out = out[4*s.n:]
		}
	case 8:
		for _, s := range segs {
			o := off
			for i := range s.n {
				binary.LittleEndian.PutUint64(out[8*i:], uint64(*(*V)(unsafe.Add(s.base, o))-lo))
				o += stride
			}
			out = out[8*s.n:]
		}
	}
	return dst
}

func signed[V integer]() bool {
	var zero V
	return zero-1 < zero
}

func rangeOf[V integer](segs []seg, off, stride uintptr) (lo, hi V) {
	lo = *(*V)(unsafe.Add(segs[0].base, off))
	hi = lo
	for _, s := range segs {
		o := off
		for range s.n {
			v := *(*V)(unsafe.Add(s.base, o))
			lo, hi = min(lo, v), max(hi, v)
			o += stride
		}
	}
	return lo, hi
}

// deltaWidth is the number of bytes, 0, 1, 2, 4 or 8, that hold v.
func deltaWidth(v uint64) int {
	switch w := (bits.Len64(v) + 7) / 8; {
	case w <= 2:
		return w
	case w <= 4:
		return 4
	default:
		return 8
	}
}

// signedWidth is the number of bytes, 0, 1, 2, 4 or 8, that hold v and its sign.
func signedWidth(v int64) int {
	if v == 0 {
		return 0
	}
	return deltaWidth(uint64(v<<1 ^ v>>63))
}

// appendIntHeader appends header and base and makes room for the deltas, which it returns to be filled.
func appendIntHeader(dst []byte, base uint64, baseWidth, width, n int) (all, deltas []byte) {
	dst = slices.Grow(dst, 1+8+n*width)
	dst = append(dst, byte(baseWidth<<4|width))
	end := len(dst) + baseWidth
	dst = binary.LittleEndian.AppendUint64(dst, base)[:end]
	dst = dst[:end+n*width]
	return dst, dst[end:]
}

// intColumn is a column of integers before its values are stored anywhere.
type intColumn struct {
	base   uint64
	width  int
	deltas []byte
}

// parseInts takes a column of n integers off src; extend tells that the base has a sign.
func parseInts(src []byte, n int, extend bool) (c intColumn, rest []byte, err error) {
	if len(src) == 0 {
		return c, nil, errShort
	}
	width, baseWidth := int(src[0]&15), int(src[0]>>4)
	if !validWidth(width) || !validWidth(baseWidth) {
		return c, nil, errWidth
	}
	src = src[1:]
	if len(src) < baseWidth || width > 0 && n > (len(src)-baseWidth)/width {
		return c, nil, errShort
	}
	var base [8]byte
	copy(base[:], src[:baseWidth])
	c.base = binary.LittleEndian.Uint64(base[:])
	if extend && baseWidth > 0 {
		free := 64 - 8*baseWidth
		c.base = uint64(int64(c.base<<free) >> free)
	}
	c.width = width
	c.deltas = src[baseWidth : baseWidth+n*width]
	return c, src[baseWidth+n*width:], nil
}

func validWidth(w int) bool { return w <= 2 || w == 4 || w == 8 }

// at returns the i-th value.
func (c *intColumn) at(i int) uint64 {
	switch c.width {
	case 0:
		return c.base
	case 1:
		return c.base + uint64(c.deltas[i])
	case 2:
		return c.base + uint64(binary.LittleEndian.Uint16(c.deltas[2*i:]))
	case 4:
		return c.base + uint64(binary.LittleEndian.Uint32(c.deltas[4*i:]))
	default:
		return c.base + binary.LittleEndian.Uint64(c.deltas[8*i:])
	}
}

// storeInts writes the values of c to the field at off of all elements, cut to the field's size.
func storeInts[V unsigned](c *intColumn, segs []seg, off, stride uintptr) {
	base, in := V(c.base), c.deltas
	for _, s := range segs {
		o := off
		switch c.width {
		case 0:
			for range s.n {
				*(*V)(unsafe.Add(s.base, o)) = base
				o += stride
			}
		case 1:
			part := in[:s.n]
			if unsafe.Sizeof(base) == 1 && stride == 1 && base == 0 {
				copy(unsafe.Slice((*byte)(unsafe.Add(s.base, o)), s.n), part)
				break
			}
			for _, b := range part {
				*(*V)(unsafe.Add(s.base, o)) = base + V(b)
				o += stride
			}
		case 2:
			for i := range s.n {
				*(*V)(unsafe.Add(s.base, o)) = base + V(binary.LittleEndian.Uint16(in[2*i:]))
				o += stride
			}
		case 4:
			for i := range s.n {
				*(*V)(unsafe.Add(s.base, o)) = base + V(binary.LittleEndian.Uint32(in[4*i:]))
				o += stride
			}
		default:
			for i := range s.n {
				*(*V)(unsafe.Add(s.base, o)) = base + V(binary.LittleEndian.Uint64(in[8*i:]))
				o += stride
			}
		}
		in = in[c.width*s.n:]
	}
}
