// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// The helpers below write and read the wire format of protobuf by hand: fields that a reader doesn't know are skipped,
// zero values aren't written.

// encoder appends fields.
type encoder struct{ b []byte }

func (e *encoder) uint(n protowire.Number, v uint64) {
	if v != 0 {
		e.b = protowire.AppendVarint(protowire.AppendTag(e.b, n, protowire.VarintType), v)
	}
}

func (e *encoder) fixed32(n protowire.Number, v uint32) {
	if v != 0 {
		e.b = protowire.AppendFixed32(protowire.AppendTag(e.b, n, protowire.Fixed32Type), v)
	}
}

func (e *encoder) fixed64(n protowire.Number, v uint64) {
	if v != 0 {
		e.b = protowire.AppendFixed64(protowire.AppendTag(e.b, n, protowire.Fixed64Type), v)
	}
}

func (e *encoder) bytes(n protowire.Number, v []byte) {
	if len(v) != 0 {
		e.element(n, v)
	}
}

// element is bytes, but written also when it is empty: one of a repeated field.
func (e *encoder) element(n protowire.Number, v []byte) {
	e.b = protowire.AppendBytes(protowire.AppendTag(e.b, n, protowire.BytesType), v)
}

func (e *encoder) string(n protowire.Number, v string) {
	if v != "" {
		e.b = protowire.AppendString(protowire.AppendTag(e.b, n, protowire.BytesType), v)
	}
}

func packed[T int | int64](e *encoder, n protowire.Number, vs []T) {
	if len(vs) == 0 {
		return
	}
	var p []byte
	for _, v := range vs {
		p = protowire.AppendVarint(p, uint64(v))
	}
	e.element(n, p)
}

// message appends what f writes as one field; an empty message is written too.
func (e *encoder) message(n protowire.Number, f func(*encoder)) {
	var sub encoder
	f(&sub)
	e.element(n, sub.b)
}

// field is one that was read: num of a varint or fixed number, or data.
type field struct {
	n    protowire.Number
	num  uint64
	data []byte
}

var errWire = errors.New("malformed field")

// eachField calls f for each field of b, in order.
func eachField(b []byte, f func(field) error) error {
	for len(b) > 0 {
		n, typ, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return errWire
		}
		b = b[tag:]
		x := field{n: n}
		var size int
		switch typ {
		case protowire.VarintType:
			x.num, size = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, size = protowire.ConsumeFixed32(b)
			x.num = uint64(v)
		case protowire.Fixed64Type:
			x.num, size = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			x.data, size = protowire.ConsumeBytes(b)
		default:
			size = protowire.ConsumeFieldValue(n, typ, b)
		}
		if size < 0 {
			return fmt.Errorf("field %d: %w", n, errWire)
		}
		b = b[size:]
		if err := f(x); err != nil {
			return err
		}
	}
	return nil
}

func unpack[T int | int64](data []byte) ([]T, error) {
	var vs []T
	for len(data) > 0 {
		v, n := protowire.ConsumeVarint(data)
		if n < 0 {
			return nil, errWire
		}
		vs = append(vs, T(v))
		data = data[n:]
	}
	return vs, nil
}
