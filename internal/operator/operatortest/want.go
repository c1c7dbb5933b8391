// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operatortest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/operator"
)

// Want is an Expected of some record type.
type Want interface {
	name() string
	// collect makes the receiver that notes records of the output in log.
	collect(log *log) (operator.Port, *checks)
	// compare returns what differs, or "".
	compare(got []line) string
}

// Expected is what one output must give, in any order.
type Expected[U any] struct {
	tag   string
	rows  []U
	times []int64
	order func(*U) string
}

// Expect lists the records of the main output.
func Expect[U any](rows ...U) *Expected[U] { return ExpectSide("", rows...) }

// ExpectSide lists the records of a side output.
func ExpectSide[U any](tag string, rows ...U) *Expected[U] { return &Expected[U]{tag: tag, rows: rows} }

// At gives the event times of the records, in nanoseconds; without it times are not looked at.
func (e *Expected[U]) At(times ...int64) *Expected[U] {
	if len(times) != len(e.rows) {
		panic(fmt.Sprintf("%d times for %d rows", len(times), len(e.rows)))
	}
	e.times = times
	return e
}

// InOrder says that records of one key must come in the order in which they are listed.
func (e *Expected[U]) InOrder[K comparable](key func(*U) K) *Expected[U] {
	e.order = func(r *U) string { return fmt.Sprint(key(r)) }
	return e
}

// line is a record that came out: as text, since the storage of a batch is not the receiver's to keep.
type line struct {
	tag, key, text string
}

func (e *Expected[U]) line(r *U, at int64) line {
	l := line{tag: e.tag, text: fmt.Sprintf("%+v", *r)}
	if e.times != nil {
		l.text += fmt.Sprintf(" at %d", at)
	}
	if e.order != nil {
		l.key = e.order(r)
	}
	return l
}

func (e *Expected[U]) name() string { return e.tag }

func (e *Expected[U]) compare(got []line) string {
	var want []line
	for i := range e.rows {
		at := int64(element.NoTime)
		if e.times != nil {
			at = e.times[i]
		}
		want = append(want, e.line(&e.rows[i], at))
	}
	w, g := e.arrange(want), e.arrange(got)
	for _, key := range slices.Sorted(maps.Keys(w)) {
		if !slices.Equal(w[key], g[key]) {
			return difference(e.tag, key, w[key], g[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(g)) {
		if w[key] == nil {
			return difference(e.tag, key, nil, g[key])
		}
	}
	return ""
}

// arrange groups lines by key, sorted where their order does not count.
func (e *Expected[U]) arrange(lines []line) map[string][]string {
	by := map[string][]string{}
	for _, l := range lines {
		if l.tag == e.tag {
			by[l.key] = append(by[l.key], l.text)
		}
	}
	if e.order == nil {
		for _, texts := range by {
			slices.Sort(texts)
		}
	}
	return by
}

func difference(tag, key string, want, got []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "output %q", tag)
	if key != "" {
		fmt.Fprintf(&b, ", key %s", key)
	}
	fmt.Fprintf(&b, "\n got:\n\t%s\n want:\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	return b.String()
}

// log is what came out of all subtasks, in order.
type log struct{ lines []line }

// collect makes a receiver of the output.
func (e *Expected[U]) collect(l *log) (operator.Port, *checks) {
	c := &collector[U]{want: e, log: l, checks: checks{watermark: element.MinWatermark}}
	return operator.PortOf[U](c), &c.checks
}

// checks are what must hold on an output whatever comes out.
type checks struct {
	watermark   int64
	idle, ended bool
}

func (c *checks) Watermark(at int64) error {
	if c.ended || at <= c.watermark {
		return fmt.Errorf("watermark %d behind %d, ended: %v", at, c.watermark, c.ended)
	}
	if c.idle {
		return fmt.Errorf("watermark %d of an idle output", at)
	}
	c.watermark = at
	return nil
}

func (c *checks) Status(idle bool) error {
	if c.ended || idle == c.idle {
		return fmt.Errorf("status idle %v after %v, ended: %v", idle, c.idle, c.ended)
	}
	c.idle = idle
	return nil
}

func (c *checks) End() error {
	if c.ended {
		return errors.New("a second end")
	}
	c.ended = true
	return nil
}

type collector[U any] struct {
	checks
	want    *Expected[U]
	log     *log
	batches int
}

// Process notes the records, and leaves the batch as changed as a receiver may: every other time with storage that is
// not the sender's.
func (c *collector[U]) Process(b *element.Batch[U]) error {
	switch {
	case c.ended:
		return errors.New("a batch after the end")
	case b.Len() == 0:
		return errors.New("an empty batch")
	}
	times := b.Times()
	for i := range b.Rows() {
		at := int64(element.NoTime)
		if times != nil {
			at = times[i]
		}
		c.log.lines = append(c.log.lines, c.want.line(&b.Rows()[i], at))
	}
	if c.batches++; c.batches%2 == 0 && !b.Shared() {
		b.Swap(element.NewBatch[U](1))
	}
	return nil
}
