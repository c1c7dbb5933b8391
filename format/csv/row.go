// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package csv

import (
	"bytes"
	"errors"

	"github.com/weir-stream/weir/format"
	"github.com/weir-stream/weir/format/lines"
)

var (
	errOpenQuote  = errors.New("a quote is not closed")
	errBareQuote  = errors.New("a quote within a field that does not begin with one")
	errAfterQuote = errors.New("text behind a closing quote")
)

// plainLine returns the first line of buf if it is a whole row without quotes, and its length with the line end. It
// returns zero if more bytes are needed, and -1 if the row has quotes and row.parse must look at it.
func plainLine(buf []byte, last bool) (line []byte, n int) {
	line, n = lines.Cut(buf, last)
	if n == 0 {
		line = buf
	}
	if bytes.IndexByte(line, '"') >= 0 {
		return nil, -1
	}
	return line, n
}

// Framer finds the ends of rows without decoding them. The zero Framer is ready.
type Framer struct{ row row }

// Next returns the length of the first row of buf, or empty line, with its line end; zero if buf does not hold all of
// it. It agrees with Decode on malformed rows too. buf must begin with a row.
func (f *Framer) Next(buf []byte, last bool) int {
	_, n := plainLine(buf, last)
	if n < 0 {
		n, _ = f.row.parse(buf, last)
	}
	return n
}

// row is a row with quotes, taken apart.
type row struct {
	// text holds the fields one behind the other, without quotes; field i ends at ends[i].
	text []byte
	ends []int
}

func (r *row) field(i int) []byte {
	from := 0
	if i > 0 {
		from = r.ends[i-1]
	}
	return r.text[from:r.ends[i]]
}

// stop is why reading a field stopped.
type stop uint8

const (
	// stopShort: buf does not hold the whole field.
	stopShort stop = iota
	stopComma
	// stopRow: the row ends with the field, or with the line on which a fault shows.
	stopRow
)

// parse takes the first row of buf apart and returns its length with the line end; zero if buf does not hold all of it.
// Where the row is malformed, the length reaches to the end of the line on which that shows.
func (r *row) parse(buf []byte, last bool) (n int, err error) {
	r.text, r.ends = r.text[:0], r.ends[:0]
	for {
		var why stop
		if n < len(buf) && buf[n] == '"' {
			n, why, err = r.quoted(buf, n+1, last)
		} else {
			n, why, err = r.bare(buf, n, last)
		}
		if why == stopShort {
			return 0, nil
		}
		if err != nil {
			return n, err
		}
		r.ends = append(r.ends, len(r.text))
		if why == stopRow {
			return n, nil
		}
	}
}

// bare reads a field without quotes from buf[at:] and the comma or line end behind it.
func (r *row) bare(buf []byte, at int, last bool) (n int, why stop, err error) {
	for i := at; i < len(buf); i++ {
		switch buf[i] {
		case ',':
			r.text = append(r.text, buf[at:i]...)
			return i + 1, stopComma, nil
		case '\n':
			r.text = append(r.text, trimReturn(buf[at:i])...)
			return i + 1, stopRow, nil
		case '"':
			n, why = skipLine(buf, i, last)
			return n, why, errBareQuote
		}
	}
	r.text = append(r.text, trimReturn(buf[at:])...)
	return len(buf), atEnd(last), nil
}

// quoted reads a field from behind its opening quote, and the comma or line end behind the closing one.
func (r *row) quoted(buf []byte, at int, last bool) (n int, why stop, err error) {
	for {
		i := bytes.IndexByte(buf[at:], '"')
		if i < 0 {
			return len(buf), atEnd(last), errOpenQuote
		}
		r.text = append(r.text, buf[at:at+i]...)
		at += i + 1
		if at == len(buf) || buf[at] != '"' {
			break
		}
		r.text = append(r.text, '"')
		at++
	}
	rest := buf[at:]
	switch {
	case len(rest) == 0:
		return at, atEnd(last), nil
	case rest[0] == ',':
		return at + 1, stopComma, nil
	case rest[0] == '\n':
		return at + 1, stopRow, nil
	case rest[0] == '\r' && len(rest) == 1:
		return at + 1, atEnd(last), nil
	case rest[0] == '\r' && rest[1] == '\n':
		return at + 2, stopRow, nil
	}
	n, why = skipLine(buf, at, last)
	return n, why, errAfterQuote
}

func atEnd(last bool) stop {
	if last {
		return stopRow
	}
	return stopShort
}

func trimReturn(b []byte) []byte { return bytes.TrimSuffix(b, []byte{'\r'}) }

// skipLine returns the end of the line that buf[at] is on.
func skipLine(buf []byte, at int, last bool) (n int, why stop) {
	i := bytes.IndexByte(buf[at:], '\n')
	if i < 0 {
		return len(buf), atEnd(last)
	}
	return at + i + 1, stopRow
}

func malformed(column string, err error) error { return &format.Error{Field: column, Err: err} }
