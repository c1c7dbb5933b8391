// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/operator"
)

// bid is a record of 80 bytes.
type bid struct {
	auction, bidder, price, extra int64
	channel, url                  string
	at, more                      int64
}

func runtime(name string) *operator.Runtime {
	return &operator.Runtime{
		Info:    operator.Info{Name: name, Parallelism: 1, MaxParallelism: 128},
		Logger:  slog.New(slog.DiscardHandler),
		Metrics: operator.NewMetrics(),
		Now:     func() time.Time { return time.Unix(0, 0) },
		WakeAt:  func(time.Time) {},
		Wake:    func() {},
	}
}

// drop is the end of a chain that counts.
type drop[T any] struct{ rows int }

func (d *drop[T]) Process(b *element.Batch[T]) error { d.rows += b.Len(); return nil }
func (d *drop[T]) Watermark(int64) error             { return nil }
func (d *drop[T]) Status(bool) error                 { return nil }
func (d *drop[T]) End() error                        { return nil }

// chain opens the steps, one behind the other, and returns the input of the first.
func chain[T any](tb testing.TB, end operator.Port, steps ...operator.Step) operator.Input[T] {
	tb.Helper()
	next := end
	for i := len(steps) - 1; i >= 0; i-- {
		op := steps[i].New()
		if err := op.Connect("", next); err != nil {
			tb.Fatal(err)
		}
		if err := op.Open(context.Background(), runtime("step")); err != nil {
			tb.Fatal(err)
		}
		next = op.Port(0)
	}
	in, err := operator.InputOf[T](next)
	if err != nil {
		tb.Fatal(err)
	}
	return in
}

//go:noinline
func convert(in *bid, out *bid) { *out = *in; out.price = in.price * 908 / 1000 }

//go:noinline
func odd(in *bid) bool { return in.auction&1 == 1 }

//go:noinline
func bump(in *bid, out *bid) { *out = *in; out.extra++ }

func bids(n int) *element.Batch[bid] {
	b := element.NewBatch[bid](n)
	for i := range n {
		r := b.AppendNanos(int64(i))
		r.auction, r.price = int64(i), int64(i)
	}
	return b
}

// refill makes a batch what it was before a chain had it.
func refill(b *element.Batch[bid], rows []bid, times []int64) {
	b.Resize(len(rows))
	copy(b.Rows(), rows)
	copy(b.Timed(), times)
}

func BenchmarkChain(b *testing.B) {
	source := bids(element.RowsFor[bid](1))
	n := source.Len()
	b.Run("engine", func(b *testing.B) {
		end := &drop[bid]{}
		in := chain[bid](b, operator.PortOf[bid](end), operator.MapTo(convert), operator.Filter(odd), operator.MapTo(bump))
		batch := bids(n)
		b.ReportAllocs()
		for b.Loop() {
			refill(batch, source.Rows(), source.Times())
			if err := in.Process(batch); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/rec")
	})
	b.Run("loop", func(b *testing.B) {
		batch, kept := bids(n), 0
		f, keep, g := convert, odd, bump
		for b.Loop() {
			refill(batch, source.Rows(), source.Times())
			rows := batch.Rows()
			for i := range rows {
				var x, y bid
				if f(&rows[i], &x); !keep(&x) {
					continue
				}
				g(&x, &y)
				kept += int(y.extra)
			}
		}
		if kept == 0 {
			b.Fatal("nothing kept")
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/rec")
	})
}

func TestChainAllocatesNothing(t *testing.T) {
	for name, steps := range map[string][]operator.Step{
		"MapTo Filter MapTo": {operator.MapTo(convert), operator.Filter(odd), operator.MapTo(bump)},
		"Map":                {operator.Map(func(b *bid) bid { return *b }), operator.Map(func(b *bid) int64 { return b.price })},
		"FlatMap": {operator.FlatMap(func(b *bid, out *element.Out[bid]) {
			out.Emit(*b)
			*out.Next() = *b
		})},
	} {
		t.Run(name, func(t *testing.T) {
			var port operator.Port = operator.PortOf[bid](&drop[bid]{})
			if name == "Map" {
				port = operator.PortOf[int64](&drop[int64]{})
			}
			in := chain[bid](t, port, steps...)
			source, batch := bids(100), bids(100)
			if got := testing.AllocsPerRun(50, func() {
				refill(batch, source.Rows(), source.Times())
				if err := in.Process(batch); err != nil {
					t.Fatal(err)
				}
			}); got != 0 {
				t.Errorf("%v allocations a batch", got)
			}
		})
	}
}
