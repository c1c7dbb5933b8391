// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"math/bits"
	"reflect"
	"unsafe"
)

// childrenPerByte is how many elements of slices and maps a byte may stand for: constant columns take no space a
// row, so columns of children are padded to this, and a decoder can tell a damaged count before it allocates.
const childrenPerByte = 8

// sliceHeader is the memory layout of a slice.
type sliceHeader struct {
	data unsafe.Pointer
	len  int
	cap  int
}

// lengths writes a column of lengths plus one, zero where there is nothing at all (nil).
func (e *encoder) lengths(lengths []int64) {
	e.dst = appendInts[uint64](e.dst, []seg{{unsafe.Pointer(unsafe.SliceData(lengths)), len(lengths)}}, 0, 8, len(lengths))
}

func (e *encoder) arrays(o *op, segs []seg, stride uintptr, n int) {
	mark := len(e.segs)
	inner := e.pushArrays(o, segs, stride)
	e.columns(o.elem, inner, n*o.count)
	e.popSegs(mark)
}

// pushArrays pushes the elements of arrays at a field; arrays that lie end to end are one seg.
func (s *scratch) pushArrays(o *op, segs []seg, stride uintptr) []seg {
	mark := len(s.segs)
	for _, outer := range segs {
		if o.elem.size*uintptr(o.count) == stride {
			s.segs = append(s.segs, seg{unsafe.Add(outer.base, o.off), outer.n * o.count})
			continue
		}
		for k := range outer.n {
			s.segs = append(s.segs, seg{unsafe.Add(outer.base, o.off+uintptr(k)*stride), o.count})
		}
	}
	return s.segs[mark:]
}

func (e *encoder) slices(o *op, segs []seg, stride uintptr, n int) {
	intMark, segMark := len(e.ints), len(e.segs)
	lengths, total := e.pushInts(n), 0
	i := 0
	for _, s := range segs {
		for k := range s.n {
			h := (*sliceHeader)(unsafe.Add(s.base, o.off+uintptr(k)*stride))
			lengths[i] = 0
			if h.data != nil {
				lengths[i] = int64(h.len) + 1
			}
			if h.len > 0 {
				e.segs = append(e.segs, seg{h.data, h.len})
				total += h.len
			}
			i++
		}
	}
	e.lengths(lengths)
	e.ints = e.ints[:intMark]
	e.children(o.elem, e.segs[segMark:], total)
	e.popSegs(segMark)
}

// children writes n elements that slices or maps hold, padded so that the count is credible.
func (e *encoder) children(p *plan, segs []seg, n int) {
	if n == 0 {
		return
	}
	start := len(e.dst)
	e.columns(p, segs, n)
	if pad := childBytes(n) - (len(e.dst) - start); pad > 0 {
		e.dst = append(e.dst, make([]byte, pad)...)
	}
}

// childBytes is the least number of bytes that n children take.
func childBytes(n int) int { return (n + childrenPerByte - 1) / childrenPerByte }

func (e *encoder) pointers(o *op, segs []seg, stride uintptr, n int) {
	mark := len(e.segs)
	start := len(e.dst)
	e.dst = append(e.dst, make([]byte, (n+7)/8)...)
	bitmap := e.dst[start:]
	i := 0
	for _, s := range segs {
		for k := range s.n {
			if p := *(*unsafe.Pointer)(unsafe.Add(s.base, o.off+uintptr(k)*stride)); p != nil {
				bitmap[i/8] |= 1 << (i % 8)
				e.segs = append(e.segs, seg{p, 1})
			}
			i++
		}
	}
	if present := len(e.segs) - mark; present > 0 {
		e.columns(o.elem, e.segs[mark:], present)
	}
	e.popSegs(mark)
}

// lengths reads a column of lengths plus one, and returns the sum of the lengths.
func (d *decoder) lengths(n int, limit uint64) (c intColumn, total int, err error) {
	c, d.src, err = parseInts(d.src, n, false)
	if err != nil {
		return c, 0, err
	}
	if c.width == 0 {
		// The count of what is skipped may be anything: an array of a damaged schema is as long as it says.
		over, sum := bits.Mul64(max(c.base, 1)-1, uint64(n))
		if over != 0 || sum > limit {
			return c, 0, errChildren
		}
		return c, int(sum), nil
	}
	sum := uint64(0)
	for i := range n {
		if v := c.at(i); v > 0 {
			if v-1 > limit-sum {
				return c, 0, errChildren
			}
			sum += v - 1
		}
	}
	return c, int(sum), nil
}

// children decodes n elements of slices or maps into an array of their own, and returns it. Without elements it is a
// place that elements of no slice need.
func (d *decoder) children(p *plan, n int) (unsafe.Pointer, error) {
	if n == 0 {
		return unsafe.Pointer(new(struct{})), nil
	}
	least := childBytes(n)
	if least > len(d.src) {
		return nil, errChildren
	}
	before := d.src
	base := newArray(p, n)
	inner := [1]seg{{base, n}}
	if err := d.columns(p, inner[:], n); err != nil {
		return nil, err
	}
	if len(before)-len(d.src) < least {
		d.src = before[least:]
	}
	return base, nil
}

// newArray allocates n elements. Where the collector need not look into them, words do for memory.
func newArray(p *plan, n int) unsafe.Pointer {
	if p.pointerFree && p.size > 0 {
		return unsafe.Pointer(unsafe.SliceData(make([]uint64, (uintptr(n)*p.size+7)/8)))
	}
	return reflect.MakeSlice(reflect.SliceOf(p.typ), n, n).UnsafePointer()
}

func (d *decoder) slices(o *op, segs []seg, stride uintptr, n int) error {
	c, total, err := d.lengths(n, childrenMax(d.src))
	if err != nil {
		return err
	}
	base, err := d.children(o.elem, total)
	if err != nil {
		return err
	}
	i, used := 0, 0
	for _, s := range segs {
		for k := range s.n {
			h := (*sliceHeader)(unsafe.Add(s.base, o.off+uintptr(k)*stride))
			switch size := int(c.at(i)) - 1; size {
			case -1:
				*h = sliceHeader{}
			case 0:
				*h = sliceHeader{data: unsafe.Pointer(new(struct{}))}
			default:
				*h = sliceHeader{unsafe.Add(base, uintptr(used)*o.elem.size), size, size}
				used += size
			}
			i++
		}
	}
	return nil
}

// childrenMax bounds the elements that src can hold; children check it exactly.
func childrenMax(src []byte) uint64 { return uint64(len(src)) * childrenPerByte }

func (d *decoder) pointers(o *op, segs []seg, stride uintptr, n int) error {
	bitmap, err := d.take(n/8 + (n%8+7)/8)
	if err != nil {
		return err
	}
	present := 0
	for i := range n {
		present += int(bitmap[i/8] >> (i % 8) & 1)
	}
	var base unsafe.Pointer
	if present > 0 {
		base = newArray(o.elem, present)
		inner := [1]seg{{base, present}}
		if err := d.columns(o.elem, inner[:], present); err != nil {
			return err
		}
	}
	i, used := 0, 0
	for _, s := range segs {
		for k := range s.n {
			p := (*unsafe.Pointer)(unsafe.Add(s.base, o.off+uintptr(k)*stride))
			*p = nil
			if bitmap[i/8]>>(i%8)&1 != 0 {
				*p = unsafe.Add(base, uintptr(used)*o.elem.size)
				used++
			}
			i++
		}
	}
	return nil
}
