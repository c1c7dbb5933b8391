// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"encoding"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"reflect"
	"strings"
	"time"
	"unsafe"

	"github.com/weir-stream/weir/internal/invariants"
)

type decoder struct {
	src  []byte
	mode Strings
	// arena holds the strings of the call that own themselves. Invariant: it never grows past room bytes.
	arena strings.Builder
	room  int
	*scratch
}

// openBlob reads how long all strings are together, and makes the arena for them.
func (d *decoder) openBlob() error {
	if len(d.src) < blobHeader {
		return errShort
	}
	size := binary.LittleEndian.Uint64(d.src)
	d.src = d.src[blobHeader:]
	if size > uint64(len(d.src)) {
		return errShort
	}
	if d.mode == Owned && size > 0 {
		d.room = int(size)
		d.arena.Grow(d.room)
	}
	return nil
}

// text takes size bytes off src, to live as long as the mode says.
func (d *decoder) text(size uint64) (string, error) {
	if size > uint64(len(d.src)) {
		return "", errShort
	}
	part := d.src[:size]
	d.src = d.src[size:]
	if d.mode == Borrowed {
		return unsafe.String(unsafe.SliceData(part), len(part)), nil
	}
	start := d.arena.Len()
	if len(part) > d.room-start {
		return "", errBlob
	}
	d.arena.Write(part)
	return d.arena.String()[start:], nil
}

// columns decodes n elements of p into segs. Invariant: n is the sum over segs, and positive.
func (d *decoder) columns(p *plan, segs []seg, n int) error {
	if invariants.Enabled {
		checkSegs(segs, n)
	}
	for i := range p.ops {
		if err := d.column(&p.ops[i], segs, p.size, n); err != nil {
			if name := p.ops[i].name; name != "" {
				return fmt.Errorf("field %s: %w", name, err)
			}
			return err
		}
	}
	return nil
}

func (d *decoder) column(o *op, segs []seg, stride uintptr, n int) error {
	switch o.kind {
	case opString:
		return d.strings(o, segs, stride, n)
	case opBool:
		return d.bools(o, segs, stride, n)
	case opFloat32:
		return d.float32s(o, segs, stride, n)
	case opFloat64:
		return d.float64s(o, segs, stride, n)
	case opBytes:
		return d.bytes(o, segs, stride, n)
	case opTime:
		return d.times(o, segs, stride, n)
	case opArray:
		mark := len(d.segs)
		inner := d.pushArrays(o, segs, stride)
		err := d.columns(o.elem, inner, n*o.count)
		d.popSegs(mark)
		return err
	case opSlice:
		return d.slices(o, segs, stride, n)
	case opMap:
		return d.maps(o, segs, stride, n)
	case opPointer:
		return d.pointers(o, segs, stride, n)
	case opBoxed:
		return d.boxed(o, segs, stride, n)
	case opBinary:
		return d.binaries(o, segs, stride)
	case opSkip:
		rest, err := skip(o.skip, d.src, n)
		d.src = rest
		return err
	default:
		return d.ints(o, segs, stride, n)
	}
}

func (d *decoder) ints(o *op, segs []seg, stride uintptr, n int) error {
	c, rest, err := parseInts(d.src, n, o.extend)
	if err != nil {
		return err
	}
	d.src = rest
	switch o.kind {
	case opInt8, opUint8:
		storeInts[uint8](&c, segs, o.off, stride)
	case opInt16, opUint16:
		storeInts[uint16](&c, segs, o.off, stride)
	case opInt32, opUint32:
		storeInts[uint32](&c, segs, o.off, stride)
	default:
		storeInts[uint64](&c, segs, o.off, stride)
	}
	return nil
}

func (d *decoder) bools(o *op, segs []seg, stride uintptr, n int) error {
	bitmap, err := d.take(n/8 + (n%8+7)/8)
	if err != nil {
		return err
	}
	i := 0
	for _, s := range segs {
		at := o.off
		for range s.n {
			*(*bool)(unsafe.Add(s.base, at)) = bitmap[i/8]>>(i%8)&1 != 0
			at += stride
			i++
		}
	}
	return nil
}

// take takes size bytes off src.
func (d *decoder) take(size int) ([]byte, error) {
	if size > len(d.src) {
		return nil, errShort
	}
	part := d.src[:size]
	d.src = d.src[size:]
	return part, nil
}

func (d *decoder) float32s(o *op, segs []seg, stride uintptr, n int) error {
	if n > len(d.src)/4 {
		return errShort
	}
	for _, s := range segs {
		at := o.off
		for i := range s.n {
			*(*float32)(unsafe.Add(s.base, at)) = math.Float32frombits(binary.LittleEndian.Uint32(d.src[4*i:]))
			at += stride
		}
		d.src = d.src[4*s.n:]
	}
	return nil
}

func (d *decoder) float64s(o *op, segs []seg, stride uintptr, n int) error {
	if n > len(d.src)/8 {
		return errShort
	}
	for _, s := range segs {
		at := o.off
		for i := range s.n {
			*(*float64)(unsafe.Add(s.base, at)) = math.Float64frombits(binary.LittleEndian.Uint64(d.src[8*i:]))
			at += stride
		}
		d.src = d.src[8*s.n:]
	}
	return nil
}

// strings slices one blob: a check a row that the length is not past its end is all that damaged lengths need.
func (d *decoder) strings(o *op, segs []seg, stride uintptr, n int) error {
	c, rest, err := parseInts(d.src, n, false)
	if err != nil {
		return err
	}
	total, err := c.sum(n, uint64(len(rest)))
	if err != nil {
		return err
	}
	d.src = rest
	blob, err := d.text(total)
	if err != nil {
		return err
	}
	lengths, base := c.deltas, int(c.base)
	i := 0
	for _, s := range segs {
		at := o.off
		switch c.width {
		case 1:
			part := lengths[i : i+s.n]
			for _, b := range part {
				size := base + int(b)
				*(*string)(unsafe.Add(s.base, at)) = blob[:size]
				blob = blob[size:]
				at += stride
			}
		default:
			for k := range s.n {
				size := int(c.at(i + k))
				*(*string)(unsafe.Add(s.base, at)) = blob[:size]
				blob = blob[size:]
				at += stride
			}
		}
		i += s.n
	}
	return nil
}

// sum adds up lengths, which can't be more than limit together.
func (c *intColumn) sum(n int, limit uint64) (uint64, error) {
	over, total := bits.Mul64(c.base, uint64(n))
	if over != 0 || total > limit {
		return 0, errShort
	}
	if c.width == 1 {
		for _, b := range c.deltas {
			total += uint64(b)
		}
	} else if c.width > 1 {
		for i := range n {
			delta := c.at(i) - c.base
			if delta > limit {
				return 0, errShort
			}
			total += delta
		}
	}
	if total > limit {
		return 0, errShort
	}
	return total, nil
}

func (d *decoder) bytes(o *op, segs []seg, stride uintptr, n int) error {
	c, total, err := d.lengths(n, uint64(len(d.src)))
	if err != nil {
		return err
	}
	text, err := d.text(uint64(total))
	if err != nil {
		return err
	}
	blob := unsafe.Slice(unsafe.StringData(text), total)
	i := 0
	for _, s := range segs {
		for k := range s.n {
			field := (*[]byte)(unsafe.Add(s.base, o.off+uintptr(k)*stride))
			switch size := int(c.at(i)); size {
			case 0:
				*field = nil
			case 1:
				*field = []byte{}
			default:
				*field = blob[: size-1 : size-1]
				blob = blob[size-1:]
			}
			i++
		}
	}
	return nil
}

func (d *decoder) times(o *op, segs []seg, stride uintptr, n int) error {
	secs, rest, err := parseInts(d.src, n, true)
	if err != nil {
		return err
	}
	nanos, rest, err := parseInts(rest, n, true)
	if err != nil {
		return err
	}
	d.src = rest
	i := 0
	for _, s := range segs {
		for k := range s.n {
			t := time.Unix(int64(secs.at(i)), int64(nanos.at(i))).UTC()
			*(*time.Time)(unsafe.Add(s.base, o.off+uintptr(k)*stride)) = t
			i++
		}
	}
	return nil
}

func (d *decoder) binaries(o *op, segs []seg, stride uintptr) error {
	for _, s := range segs {
		for k := range s.n {
			data, rest, err := parseBinary(d.src)
			if err != nil {
				return err
			}
			d.src = rest
			v := reflect.NewAt(o.typ, unsafe.Add(s.base, o.off+uintptr(k)*stride)).Interface()
			if err := v.(encoding.BinaryUnmarshaler).UnmarshalBinary(data); err != nil {
				return fmt.Errorf("%w: %w", err, ErrCorrupt)
			}
		}
	}
	return nil
}

func parseBinary(src []byte) (data, rest []byte, err error) {
	size, rest, err := parseUvarint(src)
	if err != nil {
		return nil, nil, err
	}
	if size > uint64(len(rest)) {
		return nil, nil, errShort
	}
	return rest[:size], rest[size:], nil
}
