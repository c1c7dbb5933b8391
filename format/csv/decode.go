// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package csv

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/weir-stream/weir/format"
)

// Decoder decodes rows into T.
type Decoder[T any] struct {
	fields []field
	// columns are the fields of the file at hand, in the order of its header.
	columns []field
	// header holds the names of the columns, for messages.
	header []string
	row    row
	arena  format.Arena
}

// NewDecoder makes a Decoder; it fails where T can't be read from columns.
func NewDecoder[T any]() (*Decoder[T], error) {
	fields, err := plan[T](textUnmarshaler)
	if err != nil {
		return nil, err
	}
	return &Decoder[T]{fields: fields}, nil
}

var (
	byteOrderMark = []byte("\xef\xbb\xbf")
	errNoHeader   = errors.New("csv: no header")
)

// Headless is false.
func (*Decoder[T]) Headless() bool { return false }

// Head reads the header.
func (d *Decoder[T]) Head(buf []byte, last bool) (int, error) {
	if len(buf) < len(byteOrderMark) && !last {
		return 0, nil
	}
	text := bytes.TrimPrefix(buf, byteOrderMark)
	for n := len(buf) - len(text); n < len(buf); {
		length, err := d.row.parse(buf[n:], last)
		if length == 0 {
			return 0, nil
		}
		n += length
		if err != nil {
			return n, fmt.Errorf("csv: header: %w", err)
		}
		if len(d.row.ends) > 1 || len(d.row.text) > 0 {
			return n, d.bind()
		}
	}
	if last {
		return 0, errNoHeader
	}
	return 0, nil
}

// bind finds the field of each column of the header.
func (d *Decoder[T]) bind() error {
	byName := make(map[string]field, len(d.fields))
	for _, f := range d.fields {
		byName[strings.ToLower(f.name)] = f
	}
	d.columns, d.header = nil, nil
	found := map[string]bool{}
	for i := range d.row.ends {
		name := strings.TrimSpace(string(d.row.field(i)))
		key := strings.ToLower(name)
		f, wanted := byName[key]
		if wanted && found[key] {
			return fmt.Errorf("csv: header names column %s twice", name)
		}
		found[key] = true
		d.columns, d.header = append(d.columns, f), append(d.header, name)
	}
	var missing []string
	for _, f := range d.fields {
		if !f.optional && !found[strings.ToLower(f.name)] {
			missing = append(missing, f.name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("csv: header lacks column %s of %v (columns: %s)",
			strings.Join(missing, ", "), reflect.TypeFor[T](), strings.Join(d.header, ", "))
	}
	return nil
}

// Decode decodes one row.
func (d *Decoder[T]) Decode(buf []byte, last bool, out *T) (int, error) {
	line, n := plainLine(buf, last)
	if n < 0 {
		return d.decodeQuoted(buf, last, out)
	}
	if n == 0 {
		return 0, nil
	}
	if len(line) == 0 {
		return n, format.ErrNone
	}
	base, column, from := unsafe.Pointer(out), 0, 0
	for {
		to := from
		for to < len(line) && line[to] != ',' {
			to++
		}
		if column == len(d.columns) {
			return n, d.wrongCount(1 + bytes.Count(line, []byte{','}))
		}
		if f := &d.columns[column]; f.kind != kindSkip && to > from {
			if err := d.set(base, f, line[from:to]); err != nil {
				return n, d.wrongField(column, line[from:to], 1+bytes.Count(line, []byte{','}), err)
			}
		}
		column++
		if to == len(line) {
			break
		}
		from = to + 1
	}
	if column < len(d.columns) {
		return n, d.wrongCount(column)
	}
	return n, nil
}

// decodeQuoted decodes a row that has quotes.
func (d *Decoder[T]) decodeQuoted(buf []byte, last bool, out *T) (int, error) {
	n, err := d.row.parse(buf, last)
	if n == 0 {
		return 0, nil
	}
	if err != nil {
		column := ""
		if i := len(d.row.ends); i < len(d.header) {
			column = d.header[i]
		}
		return n, malformed(column, err)
	}
	if got := len(d.row.ends); got != len(d.columns) {
		return n, d.wrongCount(got)
	}
	base := unsafe.Pointer(out)
	for i := range d.columns {
		f, text := &d.columns[i], d.row.field(i)
		if f.kind == kindSkip || len(text) == 0 {
			continue
		}
		if err := d.set(base, f, text); err != nil {
			return n, d.wrongField(i, text, len(d.columns), err)
		}
	}
	return n, nil
}

func (d *Decoder[T]) wrongCount(got int) error {
	return malformed("", fmt.Errorf("row has %d fields, header %d", got, len(d.columns)))
}

// wrongField blames a field, unless the whole row is shifted.
func (d *Decoder[T]) wrongField(column int, text []byte, got int, err error) error {
	if got != len(d.columns) {
		return d.wrongCount(got)
	}
	if number, ok := errors.AsType[*strconv.NumError](err); ok {
		err = number.Err
	}
	const shown = 80
	tail := ""
	if len(text) > shown {
		text, tail = text[:shown], "..."
	}
	return malformed(d.header[column], fmt.Errorf("%q%s is no %v: %w", text, tail, d.columns[column].elem, err))
}

// set parses text, which is not empty, into a field of the record at base.
func (d *Decoder[T]) set(base unsafe.Pointer, f *field, text []byte) error {
	p := unsafe.Add(base, f.offset)
	if f.ptr {
		v := reflect.New(f.elem)
		*(*unsafe.Pointer)(p) = v.UnsafePointer()
		p = v.UnsafePointer()
	}
	switch f.kind {
	case kindString:
		*(*string)(p) = d.arena.String(text)
	case kindInt:
		v, err := parseInt(text, f.bits)
		if err != nil {
			return err
		}
		storeInt(p, f.bits, v)
	case kindUint:
		v, err := strconv.ParseUint(view(text), 10, f.bits)
		if err != nil {
			return err
		}
		storeInt(p, f.bits, int64(v))
	case kindFloat:
		return setFloat(p, f.bits, text)
	case kindBool:
		v, err := strconv.ParseBool(view(text))
		*(*bool)(p) = v
		return err
	case kindTime:
		t := (*time.Time)(p)
		if err := t.UnmarshalText(text); err != nil {
			return errNoTime
		}
		*t = t.UTC()
	case kindBytes:
		*(*[]byte)(p) = bytes.Clone(text)
	case kindText:
		return reflect.NewAt(f.elem, p).Interface().(encoding.TextUnmarshaler).UnmarshalText(text)
	case kindSkip:
	}
	return nil
}

var errNoTime = errors.New("want RFC 3339, like 2006-01-02T15:04:05Z")

// view looks at bytes as a string, for a call that does not keep it.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// parseInt is strconv.ParseInt, in line for the short ones.
func parseInt(b []byte, bits int) (int64, error) {
	digits, negative := b, b[0] == '-'
	if negative {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 18 {
		return strconv.ParseInt(view(b), 10, bits)
	}
	var v int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return strconv.ParseInt(view(b), 10, bits)
		}
		v = v*10 + int64(c-'0')
	}
	if negative {
		v = -v
	}
	if bits < 64 && (v < math.MinInt64>>(64-bits) || v > math.MaxInt64>>(64-bits)) {
		return 0, strconv.ErrRange
	}
	return v, nil
}

func storeInt(p unsafe.Pointer, bits int, v int64) {
	switch bits {
	case 8:
		*(*int8)(p) = int8(v)
	case 16:
		*(*int16)(p) = int16(v)
	case 32:
		*(*int32)(p) = int32(v)
	default:
		*(*int64)(p) = v
	}
}

func setFloat(p unsafe.Pointer, bits int, text []byte) error {
	v, err := strconv.ParseFloat(view(text), bits)
	if err != nil {
		return err
	}
	if bits == 32 {
		*(*float32)(p) = float32(v)
	} else {
		*(*float64)(p) = v
	}
	return nil
}

var _ format.Decoder[struct{ A int }] = (*Decoder[struct{ A int }])(nil)
