// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/format/csv"
)

// Progress is the state of the enumerator: what is not assigned yet.
type Progress struct {
	// Listed tells whether the files have been listed, Parts about how many splits they make.
	Listed bool
	Parts  int
	// Files are those that are not wholly assigned, in order.
	Files []File
	// Returned are splits that came back from readers.
	Returned []Split
	// Taken are splits that readers hold or have finished although they lie in Files, beyond Next.
	Taken []Split
}

// File is a file with its size when it was listed; what lies before Next is assigned.
type File struct {
	Path       string
	Size, Next int64
}

// enumerator hands out one split for each request, in the order of files and positions.
type enumerator struct {
	rt      connector.EnumeratorContext[Split]
	cut     cutter
	pattern string
	state   Progress
}

func newEnumerator(rt connector.EnumeratorContext[Split], cut cutter, pattern string, restored *Progress) *enumerator {
	e := &enumerator{rt: rt, cut: cut, pattern: pattern}
	if restored != nil {
		e.state = clone(*restored)
	}
	return e
}

// Assigned takes the splits out of what came back, and remembers the others until they would be cut again.
func (e *enumerator) Assigned(_ int, splits []Split) error {
	for _, s := range splits {
		if i := indexOf(e.state.Returned, s); i >= 0 {
			e.state.Returned = slices.Delete(e.state.Returned, i, i+1)
		} else if !e.assigned(s) && indexOf(e.state.Taken, s) < 0 {
			e.state.Taken = append(e.state.Taken, s)
		}
	}
	return nil
}

// assigned tells whether the state knows that a split was cut.
func (e *enumerator) assigned(s Split) bool {
	if !e.state.Listed {
		return false
	}
	for _, f := range e.state.Files {
		if f.Path == s.Path {
			return s.From < f.Next
		}
	}
	return true
}

func (e *enumerator) Start(context.Context) error {
	if e.state.Listed {
		return nil
	}
	files, err := e.cut.tree.list(e.pattern)
	if err != nil {
		return err
	}
	e.state.Files, e.state.Listed = files, true
	for _, f := range files {
		e.state.Parts += e.cut.parts(f)
	}
	return nil
}

func (e *enumerator) ReaderReady(reader int) error {
	s, ok, err := e.next()
	switch {
	case err != nil:
		return err
	case ok:
		s.Readers = min(len(e.rt.Readers()), max(1, e.state.Parts))
		e.rt.Assign(reader, s)
	default:
		e.rt.NoMoreSplits(reader)
	}
	return nil
}

// next takes the next split: those that came back first.
func (e *enumerator) next() (Split, bool, error) {
	if len(e.state.Returned) > 0 {
		s := e.state.Returned[0]
		e.state.Returned = e.state.Returned[1:]
		return s, true, nil
	}
	for len(e.state.Files) > 0 {
		f := &e.state.Files[0]
		s := Split{Path: f.Path, From: f.Next, Pos: f.Next}
		if f.Next > 0 {
			s.Line = LineUnknown
		}
		i := indexOf(e.state.Taken, s)
		if i >= 0 {
			s.To = e.state.Taken[i].To
			e.state.Taken = slices.Delete(e.state.Taken, i, i+1)
		} else {
			to, err := e.cut.end(*f)
			if err != nil {
				return Split{}, false, fmt.Errorf("split %s: %w", f.Path, err)
			}
			s.To = to
		}
		if f.Next = s.To; s.To == ToEnd || s.To >= f.Size {
			e.state.Files = e.state.Files[1:]
		}
		if i < 0 {
			return s, true, nil
		}
	}
	return Split{}, false, nil
}

func (e *enumerator) AddBack(splits []Split, _ int) error {
	e.state.Returned = append(e.state.Returned, splits...)
	slices.SortFunc(e.state.Returned, func(a, b Split) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.From, b.From))
	})
	return nil
}

func (e *enumerator) Snapshot(int64) (Progress, error) { return clone(e.state), nil }

func (e *enumerator) Close() error { return nil }

func clone(p Progress) Progress {
	p.Files, p.Returned, p.Taken = slices.Clone(p.Files), slices.Clone(p.Returned), slices.Clone(p.Taken)
	return p
}

// indexOf finds a split of the same identity.
func indexOf(in []Split, s Split) int {
	return slices.IndexFunc(in, func(o Split) bool { return o.Path == s.Path && o.From == s.From })
}

// cutter finds where splits end.
type cutter struct {
	tree tree
	// size is the least length of a part, but for the last.
	size int64
	// quoted formats may have line ends within records: then only a scan from the last cut finds the next.
	quoted bool
}

// parts is about how many splits a file makes.
func (c cutter) parts(f File) int {
	if compressed(f.Path) {
		return 1
	}
	return max(1, int((f.Size+c.size/2)/c.size))
}

// end returns the end of the split that begins at f.Next. The search of a quoted format reads the bytes of the split
// once, which takes some tens of milliseconds a split.
func (c cutter) end(f File) (int64, error) {
	switch {
	case compressed(f.Path):
		return ToEnd, nil
	case f.Size-f.Next <= c.size+c.size/2:
		return f.Size, nil
	}
	in, err := c.tree.stream(f.Path)
	if err != nil {
		return 0, err
	}
	from, least := f.Next, c.size
	if !c.quoted {
		from, least = f.Next+c.size-1, 1
	}
	to, err := c.search(in, from, least, f.Size)
	return to, errors.Join(err, in.close())
}

// search returns the end of the first record that ends least bytes behind from or later.
func (c cutter) search(in *stream, from, least, size int64) (int64, error) {
	at, err := in.skip(0, from)
	if err != nil {
		return 0, err
	}
	if at < from {
		return 0, fmt.Errorf("ends at byte %d, before it had %d", at, size)
	}
	var frame csv.Framer
	buf, fill, last := make([]byte, readBytes), 0, false
	for used := int64(0); ; {
		r := 0
		for n := 1; n > 0; {
			n = c.record(&frame, buf[r:fill], last)
			r, used = r+n, used+int64(n)
			if n > 0 && used >= least {
				return min(from+used, size), nil
			}
		}
		if last {
			return size, nil
		}
		fill = copy(buf, buf[r:fill])
		if fill == len(buf) {
			if len(buf) >= recordBytesMax {
				return 0, fmt.Errorf("record at byte %d is longer than %d bytes", from+used, recordBytesMax)
			}
			buf = slices.Concat(buf, make([]byte, len(buf)))
		}
		n, err := in.body.Read(buf[fill:])
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		fill, last = fill+n, err != nil
	}
}

// record returns the length of the first record of buf, or zero.
func (c cutter) record(frame *csv.Framer, buf []byte, last bool) int {
	if len(buf) == 0 {
		return 0
	}
	if c.quoted {
		return frame.Next(buf, last)
	}
	return lineLen(buf, last)
}
