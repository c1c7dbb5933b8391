// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"math/bits"
	"testing"
	"time"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/window"
)

// The load of the windows: benchKeys keys, and this many batches of 1024 rows a second of event time.
const (
	benchKeys          = 100_000
	benchSecondBatches = 1 << 20 / 1024
)

// stats is an accumulator of 24 bytes.
type stats struct{ Count, Sum, Max int64 }

//go:noinline
func (s *stats) add(c *click) {
	s.Count++
	s.Sum += c.page
	s.Max = max(s.Max, c.page)
}

//go:noinline
func (s *stats) merge(o *stats) {
	s.Count += o.Count
	s.Sum += o.Sum
	s.Max = max(s.Max, o.Max)
}

func (s *stats) mean() float64 { return float64(s.Sum) / float64(s.Count) }

// BenchmarkWindow is a second of event time an operation. The loop has the same key index, columns and stacks as plain
// code for one window and one aggregate, with no snapshots, lateness, or time out of order.
func BenchmarkWindow(b *testing.B) {
	batches := clicks(b, benchKeys, benchSecondBatches)
	for _, w := range []struct {
		name     string
		assigner window.Assigner
		slices   int
	}{
		{"tumbling", window.Tumbling(time.Second), 1},
		{"sliding60", window.Sliding(time.Minute, time.Second), 60},
	} {
		b.Run(w.name, func(b *testing.B) {
			step, err := operator.WindowAggregate(operator.Windows{Assigner: w.assigner}, user,
				aggregate.Of((*stats).add, (*stats).merge, (*stats).mean))
			if err != nil {
				b.Fatal(err)
			}
			in := chain[click](b, operator.PortOf[float64](&drop[float64]{}), step)
			benchmarkSeconds(b, w.slices, batches, in.Process, in.Watermark)
		})
		b.Run(w.name+" loop", func(b *testing.B) {
			out := element.NewOut(1024, func(*element.Batch[float64]) error { return nil })
			l := &windowLoop{slices: int64(w.slices), index: make([]uint64, 1<<18+64), out: out}
			l.ring = make([][]stats, w.slices+1)
			for i := range l.ring {
				l.ring[i] = make([]stats, benchKeys)
			}
			l.back = make([]stats, benchKeys)
			l.add, l.merge = (*stats).add, (*stats).merge
			benchmarkSeconds(b, w.slices, batches, l.process, l.watermark)
		})
	}
}

func benchmarkSeconds(
	b *testing.B, slices int, batches []*element.Batch[click],
	process func(*element.Batch[click]) error, watermark func(int64) error,
) {
	second := int64(0)
	run := func() {
		for i, batch := range batches {
			times := batch.Times()
			for j := range times {
				times[j] = second*1e9 + int64(i)*900_000
			}
			batch.Hold()
			if err := process(batch); err != nil {
				b.Fatal(err)
			}
			batch.Release()
		}
		second++
		if err := watermark(second*1e9 - 1); err != nil {
			b.Fatal(err)
		}
	}
	for range slices + 2 {
		run()
	}
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batches)*1024), "ns/rec")
}

// windowLoop is what a careful programmer would write for one window.
type windowLoop struct {
	slices int64
	index  []uint64
	keys   []int64
	ring   [][]stats
	back   []stats
	front  int64
	add    func(*stats, *click)
	merge  func(*stats, *stats)
	out    *element.Out[float64]
	ids    []uint32
	sum    stats
}

func (l *windowLoop) process(b *element.Batch[click]) error {
	rows, times, hashes := b.Rows(), b.Times(), b.Hashes()
	if len(l.ids) < len(rows) {
		l.ids = make([]uint32, len(rows))
	}
	ids := l.ids[:len(rows)]
	for i := range rows {
		ids[i] = l.id(hashes[i], user(&rows[i]))
	}
	add := l.add
	for i := range rows {
		slice := times[i] / 1e9
		add(&l.ring[slice%int64(len(l.ring))][ids[i]], &rows[i])
	}
	return nil
}

func (l *windowLoop) id(h uint64, key int64) uint32 {
	_, h = bits.Mul64(h, 128)
	h *= 0x9e3779b97f4a7c15
	for i := h >> (64 - 18); ; i++ {
		switch w := l.index[i]; {
		case w == 0:
			l.keys = append(l.keys, key)
			l.index[i] = h<<32 | uint64(len(l.keys))
			return uint32(len(l.keys) - 1)
		case w>>32 == h&(1<<32-1) && l.keys[uint32(w)-1] == key:
			return uint32(w) - 1
		}
	}
}

func (l *windowLoop) watermark(at int64) error {
	slice, n := at/1e9, len(l.keys)
	column := func(i int64) []stats { i += int64(len(l.ring)); return l.ring[i%int64(len(l.ring))][:n] }
	l.out.At(at)
	current, first := column(slice), column(slice-l.slices+1)
	switch {
	case l.front == 0:
		for j := slice - 1; j > slice-l.slices; j-- {
			earlier, later := column(j), column(j+1)
			for i := range earlier {
				l.merge(&earlier[i], &later[i])
			}
		}
		l.front = l.slices
		clear(l.back)
		for i := range first {
			l.emit(&first[i])
		}
	default:
		for i := range current {
			l.merge(&l.back[i], &current[i])
			l.sum = l.back[i]
			l.merge(&l.sum, &first[i])
			l.emit(&l.sum)
		}
	}
	l.front--
	clear(first)
	return l.out.Flush()
}

func (l *windowLoop) emit(s *stats) {
	if s.Count > 0 {
		l.out.Emit(s.mean())
	}
}

// BenchmarkSession is a second of event time an operation: each of benchKeys keys comes some ten times a second, and is
// silent for half a second now and then, so that a session has about a hundred records. The watermark comes every 10 ms,
// 100 ms behind. The loop has one session a key, in a table made by hand, and a list of keys by the time at which they
// are looked at; it knows no time out of order. The naive variant is what one writes with timers: one for each record.
func BenchmarkSession(b *testing.B) {
	const gap = 400 * time.Millisecond
	batches := clicks(b, benchKeys, benchSecondBatches)
	b.Run("engine", func(b *testing.B) {
		step, err := operator.WindowAggregate(operator.Windows{Assigner: window.Session(gap)}, user,
			aggregate.Of((*stats).add, (*stats).merge, (*stats).mean))
		if err != nil {
			b.Fatal(err)
		}
		in := chain[click](b, operator.PortOf[float64](&drop[float64]{}), step)
		benchmarkSessions(b, batches, in.Process, in.Watermark)
	})
	b.Run("loop", func(b *testing.B) {
		out := element.NewOut(1024, func(*element.Batch[float64]) error { return nil })
		l := &sessionLoop{
			windowLoop: windowLoop{index: make([]uint64, 1<<18+64), out: out, add: (*stats).add},
			gap:        int64(gap), due: map[int64][]uint32{},
		}
		benchmarkSessions(b, batches, l.process, l.watermark)
	})
	b.Run("timers", func(b *testing.B) {
		type row struct {
			Last int64
			Acc  stats
		}
		step, err := operator.KeyedProcess(user, func(c *operator.KeyedContext[int64]) *operator.KeyedContext[int64] { return c },
			func() operator.KeyedFuncs[row, click, float64, operator.KeyedContext[int64]] {
				return operator.KeyedFuncs[row, click, float64, operator.KeyedContext[int64]]{
					Process: func(st *row, c *operator.KeyedContext[int64], in *click, _ *element.Out[float64]) error {
						st.Last = max(st.Last, c.Time())
						st.Acc.add(in)
						c.EventTimer(time.Unix(0, c.Time()+int64(gap)))
						return nil
					},
					OnTimer: func(st *row, c *operator.KeyedContext[int64], at operator.Timer, out *element.Out[float64]) error {
						if at.At.UnixNano() == st.Last+int64(gap) {
							out.Emit(st.Acc.mean())
							c.Delete()
						}
						return nil
					},
				}
			})
		if err != nil {
			b.Fatal(err)
		}
		in := chain[click](b, operator.PortOf[float64](&drop[float64]{}), step)
		benchmarkSessions(b, batches, in.Process, in.Watermark)
	})
}

func benchmarkSessions(
	b *testing.B, batches []*element.Batch[click],
	process func(*element.Batch[click]) error, watermark func(int64) error,
) {
	now := int64(0)
	run := func() {
		for i, batch := range batches {
			times := batch.Times()
			for j := range times {
				times[j] = now
			}
			if i%128 == 127 {
				now += int64(50 * time.Millisecond) // all are silent for a while, those that come rarely for too long
			}
			now += int64(900 * time.Microsecond)
			batch.Hold()
			if err := process(batch); err != nil {
				b.Fatal(err)
			}
			batch.Release()
			if i%10 == 0 {
				if err := watermark(now - int64(100*time.Millisecond)); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	for range 3 {
		run()
	}
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batches)*1024), "ns/rec")
}

// sessionLoop is what a careful programmer would write for sessions of time in order.
type sessionLoop struct {
	windowLoop
	gap      int64
	sessions []loopSession
	due      map[int64][]uint32 // by millisecond
	looked   int64
}

type loopSession struct {
	last  int64
	armed bool
	acc   stats
}

func (l *sessionLoop) process(b *element.Batch[click]) error {
	rows, times, hashes := b.Rows(), b.Times(), b.Hashes()
	add := l.add
	for i := range rows {
		id := l.id(hashes[i], user(&rows[i]))
		if int(id) == len(l.sessions) {
			l.sessions = append(l.sessions, loopSession{})
		}
		s := &l.sessions[id]
		if s.armed && times[i] > s.last+l.gap {
			l.fire(s)
		}
		if !s.armed {
			s.armed = true
			at := (times[i] + l.gap) / 1e6
			l.due[at] = append(l.due[at], id)
		}
		s.last = times[i]
		add(&s.acc, &rows[i])
	}
	return nil
}

func (l *sessionLoop) watermark(at int64) error {
	for ; l.looked < at/1e6; l.looked++ {
		for _, id := range l.due[l.looked] {
			s := &l.sessions[id]
			if s.acc.Count > 0 && s.last+l.gap <= at {
				l.fire(s)
			}
			if s.acc.Count == 0 {
				s.armed = false
				continue
			}
			next := max((s.last+l.gap)/1e6, l.looked+1)
			l.due[next] = append(l.due[next], id)
		}
		delete(l.due, l.looked)
	}
	return l.out.Flush()
}

func (l *sessionLoop) fire(s *loopSession) {
	l.out.At(s.last + l.gap - 1)
	l.emit(&s.acc)
	s.acc = stats{}
}
