// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package format is the contract between connectors that move bytes and formats that know records: csv, json and lines
// below it.
//
//	bytes:   head | record | record | rec...          a file, or what a connector has of it
//	Decoder: Head   Decode   Decode   0, "more"       one record a call, in place in the connector's buffer
//	Encoder: Head   Append   Append                   bytes appended to the connector's buffer
//
// Decoders and encoders have state (the columns of the file at hand, scratch memory): each belongs to one goroutine.
// What they decode never refers to the bytes that they were given.
//
// Non-obvious: only the format knows where a record ends (a quoted CSV field may hold line ends), so bytes from the middle
// of a file can't be decoded unless they are known to begin with a record. A decoder that reads on in the middle of a
// file still needs the head of that file.
package format

import (
	"errors"
	"unsafe"
)

// Decoder decodes records of T from a stream of bytes.
type Decoder[T any] interface {
	// Head reads what precedes the records of a file and returns its length: once before the first record of each file,
	// also where reading begins further on. It returns zero and no error if more bytes are needed; last says that there
	// are none. A format without a head reads none and returns zero: then Headless is true.
	Head(buf []byte, last bool) (n int, err error)
	// Headless tells that files have no head, and that Head need not be called.
	Headless() bool
	// Decode decodes the record at the beginning of buf into out, which is zeroed, and returns its length with its line
	// end. It returns zero and no error if buf does not hold the whole record; last says that no more bytes follow, and
	// then it never asks for more of a buf that isn't empty. ErrNone says that the n bytes hold no record. With any
	// other error, an *Error, the n bytes are a malformed record, behind which decoding can go on; out is unspecified.
	Decode(buf []byte, last bool, out *T) (n int, err error)
}

// Encoder encodes records of T.
type Encoder[T any] interface {
	// Head appends what precedes the records of a file.
	Head(dst []byte) []byte
	// Append appends one record and its line end. After an error, an *Error, dst is returned as it was.
	Append(dst []byte, in *T) ([]byte, error)
}

// ErrNone is returned by Decode for bytes that hold no record, an empty line for one.
var ErrNone = errors.New("format: no record")

// Error says what is wrong with a record.
type Error struct {
	// Field is the column or the path of the field; empty where the record as a whole is malformed.
	Field string
	Err   error
}

// Error names the field.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Err.Error()
	}
	return "field " + e.Field + ": " + e.Err.Error()
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// arenaBlock is the size of the blocks of an Arena: large enough to make allocation rare, small enough that a string
// kept for long holds little else.
const arenaBlock = 8 << 10

// Arena copies strings out of a reader's buffer, many to an allocation. The zero Arena is ready.
type Arena struct{ block []byte }

// String returns b as a string of its own.
func (a *Arena) String(b []byte) string {
	n := len(b)
	if n == 0 {
		return ""
	}
	if n > cap(a.block)-len(a.block) {
		if n > arenaBlock/4 {
			return string(b)
		}
		a.block = make([]byte, 0, arenaBlock)
	}
	from := len(a.block)
	a.block = append(a.block, b...)
	return unsafe.String(&a.block[from], n)
}
