// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"testing"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/operator"
)

// BenchmarkIntervalJoin is half a second of event time an operation, on each of two inputs: a record finds about one
// partner, and waits 100 ms. The loop has two lists for each key, in order, and forgets when it comes by; it knows no time
// out of order.
func BenchmarkIntervalJoin(b *testing.B) {
	const span = 100 * time.Millisecond
	batches := clicks(b, benchKeys, benchSecondBatches/2)
	b.Run("engine", func(b *testing.B) {
		step, err := operator.IntervalJoin(operator.IntervalConfig{Interval: operator.Interval{Upper: int64(span)}}, user, user,
			func(c *operator.KeyedContext[int64]) *operator.KeyedContext[int64] { return c },
			func(_ *operator.KeyedContext[int64], a, c *click, out *element.Out[int64]) error {
				out.Emit(a.page + c.page)
				return nil
			})
		if err != nil {
			b.Fatal(err)
		}
		op := step.New()
		if err := op.Connect("", operator.PortOf[int64](&drop[int64]{})); err != nil {
			b.Fatal(err)
		}
		if err := op.Open(b.Context(), runtime("join")); err != nil {
			b.Fatal(err)
		}
		benchmarkJoin(b, batches,
			func(input int, batch *element.Batch[click]) error { return op.Port(input).Deliver(batch) },
			func(at int64) error {
				if err := op.Port(0).Watermark(at); err != nil {
					return err
				}
				return op.Port(1).Watermark(at)
			})
	})
	b.Run("loop", func(b *testing.B) {
		out := element.NewOut(1024, func(*element.Batch[int64]) error { return nil })
		l := &joinLoop{windowLoop: windowLoop{index: make([]uint64, 1<<18+64)}, span: int64(span), out: out}
		benchmarkJoin(b, batches, l.process, func(int64) error { return nil })
	})
}

func benchmarkJoin(
	b *testing.B, batches []*element.Batch[click],
	process func(input int, batch *element.Batch[click]) error, watermark func(int64) error,
) {
	now := int64(0)
	run := func() {
		for i, batch := range batches {
			times := batch.Times()
			for j := range times {
				times[j] = now
			}
			now += int64(900 * time.Microsecond)
			for input := range 2 {
				batch.Hold()
				if err := process(input, batch); err != nil {
					b.Fatal(err)
				}
				batch.Release()
			}
			if i%10 == 0 {
				if err := watermark(now - int64(10*time.Millisecond)); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	for range 2 {
		run()
	}
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batches)*2*1024), "ns/rec")
}

// joinLoop is what a careful programmer would write for one join.
type joinLoop struct {
	windowLoop
	span int64
	rows [][2][]loopRow
	out  *element.Out[int64]
}

type loopRow struct {
	at  int64
	row click
}

func (l *joinLoop) process(input int, b *element.Batch[click]) error {
	rows, times, hashes := b.Rows(), b.Times(), b.Hashes()
	for i := range rows {
		id := l.id(hashes[i], user(&rows[i]))
		if int(id) == len(l.rows) {
			l.rows = append(l.rows, [2][]loopRow{})
		}
		r, at := &l.rows[id], times[i]
		for side := range r {
			n := 0
			for n < len(r[side]) && r[side][n].at+l.span < at {
				n++
			}
			r[side] = append(r[side][:0], r[side][n:]...)
		}
		for j := range r[1-input] {
			o := &r[1-input][j]
			if input == 1 || o.at == at {
				l.out.At(at)
				l.out.Emit(o.row.page + rows[i].page)
			}
		}
		r[input] = append(r[input], loopRow{at, rows[i]})
	}
	return l.out.Flush()
}
