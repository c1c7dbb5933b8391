// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package csv

import (
	"bytes"
	"encoding"
	"math"
	"reflect"
	"strconv"
	"time"
	"unsafe"

	"github.com/weir-stream/weir/format"
)

// Encoder encodes rows from T.
type Encoder[T any] struct {
	fields  []field
	scratch []byte
}

// NewEncoder makes an Encoder; it fails where T can't be written as columns.
func NewEncoder[T any]() (*Encoder[T], error) {
	fields, err := plan[T](textMarshaler)
	if err != nil {
		return nil, err
	}
	return &Encoder[T]{fields: fields}, nil
}

// Head appends the header.
func (e *Encoder[T]) Head(dst []byte) []byte {
	for i, f := range e.fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendQuoted(dst, []byte(f.name))
	}
	return append(dst, '\n')
}

// Append appends one row.
func (e *Encoder[T]) Append(dst []byte, in *T) ([]byte, error) {
	start, base := len(dst), unsafe.Pointer(in)
	for i := range e.fields {
		f := &e.fields[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		p := unsafe.Add(base, f.offset)
		if f.ptr {
			if p = *(*unsafe.Pointer)(p); p == nil {
				continue
			}
		}
		longer, err := e.value(dst, f, p)
		if err != nil {
			return dst[:start], malformed(f.name, err)
		}
		dst = longer
	}
	if len(dst) == start {
		dst = append(dst, `""`...) // an empty line would be no row
	}
	return append(dst, '\n'), nil
}

func (e *Encoder[T]) value(dst []byte, f *field, p unsafe.Pointer) ([]byte, error) {
	switch f.kind {
	case kindString:
		s := *(*string)(p)
		return appendQuoted(dst, unsafe.Slice(unsafe.StringData(s), len(s))), nil
	case kindInt:
		return strconv.AppendInt(dst, loadInt(p, f.bits), 10), nil
	case kindUint:
		return strconv.AppendUint(dst, uint64(loadInt(p, f.bits))&(math.MaxUint64>>(64-f.bits)), 10), nil
	case kindFloat:
		return appendFloat(dst, p, f.bits), nil
	case kindBool:
		return strconv.AppendBool(dst, *(*bool)(p)), nil
	case kindTime:
		t := *(*time.Time)(p)
		if t.IsZero() {
			return dst, nil
		}
		return t.UTC().AppendText(dst)
	case kindBytes:
		return appendQuoted(dst, *(*[]byte)(p)), nil
	case kindText:
		return e.text(dst, reflect.NewAt(f.elem, p).Interface())
	case kindSkip:
	}
	return dst, nil
}

// text appends what v marshals to.
func (e *Encoder[T]) text(dst []byte, v any) ([]byte, error) {
	var err error
	if a, ok := v.(encoding.TextAppender); ok {
		e.scratch, err = a.AppendText(e.scratch[:0])
	} else {
		e.scratch, err = v.(encoding.TextMarshaler).MarshalText()
	}
	if err != nil {
		return dst, err
	}
	return appendQuoted(dst, e.scratch), nil
}

// appendQuoted appends text, in quotes where it needs them.
func appendQuoted(dst, text []byte) []byte {
	if !needsQuotes(text) {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	dst = append(dst, bytes.ReplaceAll(text, []byte{'"'}, []byte(`""`))...)
	return append(dst, '"')
}

// needsQuotes looks for each of the four alone: that is done many bytes at a time.
func needsQuotes(text []byte) bool {
	return bytes.IndexByte(text, ',') >= 0 || bytes.IndexByte(text, '"') >= 0 ||
		bytes.IndexByte(text, '\n') >= 0 || bytes.IndexByte(text, '\r') >= 0
}

func loadInt(p unsafe.Pointer, bits int) int64 {
	switch bits {
	case 8:
		return int64(*(*int8)(p))
	case 16:
		return int64(*(*int16)(p))
	case 32:
		return int64(*(*int32)(p))
	default:
		return *(*int64)(p)
	}
}

// appendFloat appends the shortest text that reads back as the same number; very large and small ones in E notation.
func appendFloat(dst []byte, p unsafe.Pointer, bits int) []byte {
	v := *(*float64)(p)
	if bits == 32 {
		v = float64(*(*float32)(p))
	}
	form := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		form = 'e'
	}
	return strconv.AppendFloat(dst, v, form, -1, bits)
}

var _ format.Encoder[struct{ A int }] = (*Encoder[struct{ A int }])(nil)
