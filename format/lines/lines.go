// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package lines is the format of plain text: each line is a record, without its line end (\n or \r\n). An empty line
// is an empty record; the last line may lack its end.
//
// Non-obvious: text that holds a line end can't be written, since it would come back as two records; nor can text that
// ends in \r, which would be taken for a part of the line end.
package lines

import (
	"bytes"
	"errors"
	"strings"

	"github.com/weir-stream/weir/format"
)

// Decoder cuts text into lines.
type Decoder struct{ arena format.Arena }

// NewDecoder makes a Decoder.
func NewDecoder() *Decoder { return &Decoder{} }

// Head reads nothing.
func (*Decoder) Head([]byte, bool) (int, error) { return 0, nil }

// Headless is true.
func (*Decoder) Headless() bool { return true }

// Decode takes one line.
func (d *Decoder) Decode(buf []byte, last bool, out *string) (int, error) {
	line, n := Cut(buf, last)
	if n > 0 {
		*out = d.arena.String(line)
	}
	return n, nil
}

// Cut returns the first line of buf without its end, and its length with it; zero if the line isn't whole.
func Cut(buf []byte, last bool) (line []byte, n int) {
	i := bytes.IndexByte(buf, '\n')
	switch {
	case i >= 0:
		line, n = buf[:i], i+1
	case last:
		line, n = buf, len(buf)
	default:
		return nil, 0
	}
	return bytes.TrimSuffix(line, []byte{'\r'}), n
}

// Encoder writes lines.
type Encoder struct{}

// NewEncoder makes an Encoder.
func NewEncoder() Encoder { return Encoder{} }

// Head appends nothing.
func (Encoder) Head(dst []byte) []byte { return dst }

var (
	errLineEnd = errors.New("text holds a line end")
	errReturn  = errors.New("text ends in a carriage return, which is part of a line end")
)

// Append appends the text and \n.
func (Encoder) Append(dst []byte, in *string) ([]byte, error) {
	switch {
	case strings.IndexByte(*in, '\n') >= 0:
		return dst, &format.Error{Err: errLineEnd}
	case strings.HasSuffix(*in, "\r"):
		return dst, &format.Error{Err: errReturn}
	}
	return append(append(dst, *in...), '\n'), nil
}

var (
	_ format.Decoder[string] = (*Decoder)(nil)
	_ format.Encoder[string] = Encoder{}
)
