// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/format"
	"github.com/weir-stream/weir/format/lines"
)

const (
	// readBytes is the size of a reader's buffer; it grows only for longer records.
	readBytes = 64 << 10
	// recordBytesMax bounds a record; a longer one is an error, whatever the policy.
	recordBytesMax = 16 << 20
)

// reader is a threaded reader of files, held to a rate.
type reader[T any] struct {
	connector.Reader[T, Split]
	pacer *connector.Pacer
	scan  *scanner[T]
}

func newReader[T any](rt connector.RuntimeContext, t tree, dec format.Decoder[T], pacer *connector.Pacer, policy Policy, replace func(*Malformed) T) *reader[T] {
	scan := &scanner[T]{rt: rt, tree: t, dec: dec, pacer: pacer, policy: policy, replace: replace}
	return &reader[T]{Reader: connector.Threaded(rt, scan.fetch), pacer: pacer, scan: scan}
}

// Add takes splits, and a share of the rate with them.
func (r *reader[T]) Add(splits []Split) error {
	for _, s := range splits {
		r.pacer.Share(cmp.Or(s.Readers, r.scan.rt.Parallelism()))
	}
	return r.Reader.Add(splits)
}

func (r *reader[T]) Poll(b *element.Batch[T]) (string, error) {
	if r.pacer.Due() == 0 {
		return "", connector.ErrWait
	}
	before := b.Len()
	id, err := r.Reader.Poll(b)
	r.pacer.Took(b.Len() - before)
	return id, err
}

func (r *reader[T]) Close() error { return errors.Join(r.Reader.Close(), r.scan.close()) }

// scanner decodes the records of one split after the other, on the goroutine of the threaded reader.
type scanner[T any] struct {
	rt      connector.RuntimeContext
	tree    tree
	dec     format.Decoder[T]
	pacer   *connector.Pacer
	policy  Policy
	replace func(*Malformed) T

	// in is the open file of at; nil between splits.
	in  *stream
	at  Split
	buf []byte
	// buf[r:w] is read and not decoded. Invariant: r <= w <= len(buf).
	r, w int
	// off is the position in the stream of buf[w].
	off int64
	// last tells that nothing follows buf[:w].
	last bool
	// Line ends before buf[counted] are in the split's Line. Invariant: counted <= r.
	counted int
}

// fetch appends records of s to b until it is full.
func (sc *scanner[T]) fetch(ctx context.Context, s *Split, b *element.Batch[T]) error {
	if sc.in == nil || sc.at.Path != s.Path || sc.at.From != s.From {
		if err := errors.Join(sc.close(), sc.open(ctx, s)); err != nil {
			return fmt.Errorf("read %s: %w", s.Path, err)
		}
	}
	malformed := int64(0)
	defer func() {
		sc.countLines(s)
		if malformed > 0 {
			sc.rt.Counter("malformed", malformed)
		}
	}()
	limit := sc.pacer.Slice(b.Limit())
	for b.Len() < limit {
		if sc.r == sc.w && sc.last {
			return errors.Join(io.EOF, sc.close())
		}
		n, err := sc.dec.Decode(sc.buf[sc.r:sc.w], sc.last, b.Append())
		switch {
		case n <= 0 && (err != nil || sc.last): // another try would find the same bytes
			return fmt.Errorf("read %s: at byte %d: %w", s.Path, s.Pos, sc.stuck(err))
		case n == 0 && err == nil:
			b.Resize(b.Len() - 1)
			if err := sc.fill(ctx, s); err != nil {
				return fmt.Errorf("read %s: at byte %d: %w", s.Path, s.Pos, err)
			}
			continue
		case errors.Is(err, format.ErrNone):
			b.Resize(b.Len() - 1)
		case err != nil:
			malformed++
			if err := sc.malformed(s, n, err, b); err != nil {
				return err
			}
		}
		sc.r += n
		s.Pos += int64(n)
	}
	return nil
}

// stuck is the error for a decoder that takes nothing where it has to take something.
func (sc *scanner[T]) stuck(err error) error {
	if err != nil {
		return fmt.Errorf("the format %T takes none of %d bytes: %w", sc.dec, sc.w-sc.r, err)
	}
	return fmt.Errorf("the format %T takes nothing of the last %d bytes", sc.dec, sc.w-sc.r)
}

// malformed treats the record of n bytes at r, for which b has a row, by the policy.
func (sc *scanner[T]) malformed(s *Split, n int, err error, b *element.Batch[T]) error {
	sc.countLines(s)
	m := &Malformed{Path: s.Path, Line: s.Line + 1, Offset: s.Pos, Err: err}
	m.Text = string(bytes.TrimRight(sc.buf[sc.r:sc.r+n], "\r\n"))
	if fault, ok := errors.AsType[*format.Error](err); ok {
		m.Field, m.Err = fault.Field, fault.Err
	}
	switch {
	case sc.policy == Fail:
		return m
	case sc.replace != nil:
		b.Rows()[b.Len()-1] = sc.replace(m)
	default:
		b.Resize(b.Len() - 1)
	}
	return nil
}

// countLines brings the line number up to what has been decoded.
func (sc *scanner[T]) countLines(s *Split) {
	if s.Line != LineUnknown {
		s.Line += int64(bytes.Count(sc.buf[sc.counted:sc.r], []byte{'\n'}))
	}
	sc.counted = sc.r
}

// fill reads more bytes behind those that are not decoded.
func (sc *scanner[T]) fill(ctx context.Context, s *Split) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	sc.countLines(s)
	sc.w = copy(sc.buf, sc.buf[sc.r:sc.w])
	sc.r, sc.counted = 0, 0
	if sc.w == len(sc.buf) {
		if len(sc.buf) >= recordBytesMax {
			return fmt.Errorf("record is longer than %d bytes", recordBytesMax)
		}
		sc.buf = append(sc.buf, make([]byte, max(readBytes, len(sc.buf)))...)
	}
	room := sc.buf[sc.w:]
	if s.To != ToEnd && int64(len(room)) > s.To-sc.off {
		room = room[:s.To-sc.off]
	}
	for tries := 0; ; tries++ {
		n, err := sc.in.body.Read(room)
		sc.w, sc.off = sc.w+n, sc.off+int64(n)
		end := errors.Is(err, io.EOF)
		switch {
		case err != nil && !end:
			return err
		case end && sc.off < s.To:
			return fmt.Errorf("ends at byte %d, before it had %d: the file shrank", sc.off, s.To)
		case end || sc.off == s.To:
			sc.last = true
			return nil
		case n > 0:
			return nil
		case tries == 100:
			return io.ErrNoProgress
		}
	}
}

// open opens the file of s, reads its head and moves to the position of s.
func (sc *scanner[T]) open(ctx context.Context, s *Split) error {
	in, err := sc.tree.stream(s.Path)
	if err != nil {
		return err
	}
	sc.in, sc.at = in, *s
	sc.r, sc.w, sc.off, sc.last, sc.counted = 0, 0, 0, false, 0
	if err := sc.head(ctx, s); err != nil {
		return err
	}
	return sc.moveTo(s.Pos)
}

// head lets the decoder read what precedes the records.
func (sc *scanner[T]) head(ctx context.Context, s *Split) error {
	if sc.dec.Headless() {
		return nil
	}
	// The lines of the head count only where reading begins with them.
	top := Split{Path: s.Path, To: s.To}
	for {
		if sc.w == 0 && sc.last {
			return nil // a compressed file with nothing in it
		}
		n, err := sc.dec.Head(sc.buf[:sc.w], sc.last)
		if err != nil {
			return err
		}
		if n > 0 {
			sc.r = n
			sc.countLines(&top)
			if s.Pos < int64(n) {
				s.Pos, s.Line = int64(n), top.Line
			}
			return nil
		}
		if sc.last {
			return fmt.Errorf("the head: %w", sc.stuck(nil))
		}
		if err := sc.fill(ctx, &top); err != nil {
			return err
		}
	}
}

// moveTo makes buf[r] the byte at pos.
func (sc *scanner[T]) moveTo(pos int64) error {
	if ahead := pos - (sc.off - int64(sc.w-sc.r)); ahead <= int64(sc.w-sc.r) {
		sc.r += int(ahead)
		sc.counted = sc.r
		return nil
	}
	at, err := sc.in.skip(sc.off, pos)
	if err == nil && at < pos {
		err = fmt.Errorf("ends at byte %d, but was read up to byte %d: the file shrank", at, pos)
	}
	sc.r, sc.w, sc.off, sc.counted = 0, 0, pos, 0
	return err
}

func (sc *scanner[T]) close() error {
	if sc.in == nil {
		return nil
	}
	in := sc.in
	sc.in = nil
	return in.close()
}

// lineLen is the length of the first line of buf with its end; zero if it isn't whole.
func lineLen(buf []byte, last bool) int {
	_, n := lines.Cut(buf, last)
	return n
}
