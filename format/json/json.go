// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package json is the format of JSON lines: one value a line, as encoding/json reads and writes T. Empty lines hold no
// record; \r before the line end is white space.
//
// Non-obvious: text is written as it is, without the escapes that encoding/json adds for HTML.
package json

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/weir-stream/weir/format"
	"github.com/weir-stream/weir/format/lines"
)

// Decoder decodes lines of JSON.
type Decoder[T any] struct{}

// NewDecoder makes a Decoder.
func NewDecoder[T any]() Decoder[T] { return Decoder[T]{} }

// Head reads nothing.
func (Decoder[T]) Head([]byte, bool) (int, error) { return 0, nil }

// Headless is true.
func (Decoder[T]) Headless() bool { return true }

// Decode decodes one line.
func (Decoder[T]) Decode(buf []byte, last bool, out *T) (int, error) {
	line, n := lines.Cut(buf, last)
	if n == 0 {
		return 0, nil
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return n, format.ErrNone
	}
	if err := json.Unmarshal(line, out); err != nil {
		fault := &format.Error{Err: err}
		if typed, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			fault.Field = typed.Field
		}
		return n, fault
	}
	return n, nil
}

// Encoder encodes lines of JSON.
type Encoder[T any] struct {
	buf bytes.Buffer
	enc *json.Encoder
}

// NewEncoder makes an Encoder.
func NewEncoder[T any]() *Encoder[T] {
	e := &Encoder[T]{}
	e.enc = json.NewEncoder(&e.buf)
	e.enc.SetEscapeHTML(false)
	return e
}

// Head appends nothing.
func (*Encoder[T]) Head(dst []byte) []byte { return dst }

// Append appends one value and \n.
func (e *Encoder[T]) Append(dst []byte, in *T) ([]byte, error) {
	e.buf.Reset()
	if err := e.enc.Encode(in); err != nil {
		return dst, &format.Error{Err: err}
	}
	return append(dst, e.buf.Bytes()...), nil
}

var (
	_ format.Decoder[int] = Decoder[int]{}
	_ format.Encoder[int] = (*Encoder[int])(nil)
)
