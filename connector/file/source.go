// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/format"
	"github.com/weir-stream/weir/format/csv"
	"github.com/weir-stream/weir/format/json"
	"github.com/weir-stream/weir/format/lines"
)

// splitBytes is about the size of the parts into which large plain files are cut.
const splitBytes = 64 << 20

// Source reads files: one, all of a directory, or those that match a glob, in the order of their names. Its methods
// return a changed copy. Names that begin with a dot are passed over, unless the pattern asks for them.
type Source[T any] struct {
	pattern   string
	fsys      fs.FS
	rate      float64
	policy    Policy
	replace   func(*Malformed) T
	decoder   func() (format.Decoder[T], error)
	quoted    bool
	splitSize int64
}

// CSV reads rows by header into the fields of T; see package format/csv for the names and types.
func CSV[T any](pattern string) Source[T] {
	return Source[T]{pattern: pattern, splitSize: splitBytes, quoted: true, decoder: func() (format.Decoder[T], error) {
		return csv.NewDecoder[T]()
	}}
}

// JSON reads one value a line.
func JSON[T any](pattern string) Source[T] {
	return Source[T]{pattern: pattern, splitSize: splitBytes, decoder: func() (format.Decoder[T], error) {
		return json.NewDecoder[T](), nil
	}}
}

// Lines reads text, a record a line.
func Lines(pattern string) Source[string] {
	return Source[string]{pattern: pattern, splitSize: splitBytes, decoder: func() (format.Decoder[string], error) {
		return lines.NewDecoder(), nil
	}}
}

// FS reads from a file system, embedded files for one, instead of that of the machine. It must hold the same files in
// every role of the program.
func (s Source[T]) FS(fsys fs.FS) Source[T] {
	s.fsys = fsys
	return s
}

// Rate limits the source to rows a second, of which each reader gets an equal share; zero is no limit.
func (s Source[T]) Rate(rows float64) Source[T] {
	s.rate = rows
	return s
}

// OnMalformed says what a record that can't be decoded does: Fail, which is the default, or Skip.
func (s Source[T]) OnMalformed(p Policy) Source[T] {
	s.policy, s.replace = p, nil
	return s
}

// MalformedTo puts what replace makes of a malformed record in its place, for a later step to send it to a side output.
// Such records are counted like skipped ones.
func (s Source[T]) MalformedTo(replace func(m *Malformed) T) Source[T] {
	s.policy, s.replace = Skip, replace
	return s
}

// Resolve joins a relative pattern to dir, or refuses it where that is empty. It fails where T can't be decoded.
func (s Source[T]) Resolve(dir string) (Source[T], error) {
	if _, err := s.decoder(); err != nil {
		return s, err
	}
	if s.fsys != nil {
		return s, nil
	}
	var err error
	s.pattern, err = connector.JoinPath(dir, s.pattern)
	return s, err
}

// Boundedness is Bounded: files that appear after the start are not read.
func (s Source[T]) Boundedness() connector.Boundedness { return connector.Bounded }

// NewEnumerator makes the enumerator, which lists the files when it is started for the first time.
func (s Source[T]) NewEnumerator(_ context.Context, rt connector.EnumeratorContext[Split], restored *Progress) (connector.Enumerator[Split, Progress], error) {
	return newEnumerator(rt, cutter{tree: tree{s.fsys}, size: s.splitSize, quoted: s.quoted}, s.pattern, restored), nil
}

// NewReader makes a reader, which reads its splits one after the other.
func (s Source[T]) NewReader(_ context.Context, rt connector.RuntimeContext) (connector.Reader[T, Split], error) {
	dec, err := s.decoder()
	if err != nil {
		return nil, err
	}
	return newReader(rt, tree{s.fsys}, dec, connector.NewPacer(rt, s.rate), s.policy, s.replace), nil
}

var (
	_ connector.Source[int, Split, Progress] = Source[int]{}
	_ connector.Locator[Source[int]]         = Source[int]{}
)

// Split is what is left to read of a file or of a part of one. Positions are in the decompressed stream.
type Split struct {
	Path string
	// The part begins at From, where a record begins, and ends before To; ToEnd is the end of a compressed file.
	From, To int64
	// Pos is behind the last record that was handed out.
	Pos int64
	// Line is the number of lines before Pos, or LineUnknown.
	Line int64
	// Readers is how many readers have something to read, who share the rate of the source.
	Readers int
}

const (
	// ToEnd is Split.To where the length isn't known before the file has been read.
	ToEnd = -1
	// LineUnknown is Split.Line in parts that don't begin with the file.
	LineUnknown = -1
)

// SplitID names the path and the beginning of the part.
func (s Split) SplitID() string { return fmt.Sprintf("%s@%d", s.Path, s.From) }
