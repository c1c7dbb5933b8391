// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package bench

import (
	"testing"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/stream"
)

// bid is a record of 80 bytes.
type bid struct {
	Auction, Bidder, Price, Extra int64
	Channel, URL                  string
	At, More                      int64
}

//go:noinline
func fillBid(i int64, out *bid) { out.Auction, out.Bidder, out.Price, out.At = i, i>>1, i, i }

//go:noinline
func convert(in, out *bid) { *out = *in; out.Price = in.Price * 908 / 1000 }

//go:noinline
func even(in *bid) bool { return in.Auction&1 == 0 }

//go:noinline
func bump(in, out *bid) { *out = *in; out.Extra = 1 }

//go:noinline
func extra(in *bid) int64 { return in.Extra }

// BenchmarkChain is source -> map -> filter -> map -> sink over records of 80 bytes, of which half pass the filter.
func BenchmarkChain(b *testing.B) {
	const records = 1 << 20
	job := start(b, newFeed(fillBid), newTally(extra), weir.Options{}, describeChain)
	loop := newChainLoop(element.RowsFor[bid](1))
	compare(b, records,
		&side{name: "engine", run: func() { job.round(records, records/2) }},
		&side{name: "loop", run: func() { loop.round(records) }},
		&side{name: "fused", run: func() { loop.fused(records) }},
	)
	job.stop()
	if loop.sum != 2*job.out.sum {
		b.Errorf("sums: engine %d, both loops %d", job.out.sum, loop.sum)
	}
}

func describeChain(env *stream.Env, in feed[bid], out *tally[bid]) {
	env.From("bids", in).MapTo(convert).Filter(even).MapTo(bump).To("out", out)
}

// chainLoop makes the same calls by hand.
type chainLoop struct {
	fill    func(int64, *bid)
	first   func(in, out *bid)
	keep    func(*bid) bool
	second  func(in, out *bid)
	of      func(*bid) int64
	a, b, c []bid
	i, sum  int64
}

func newChainLoop(rows int) *chainLoop {
	return &chainLoop{
		fill: fillBid, first: convert, keep: even, second: bump, of: extra,
		a: make([]bid, rows), b: make([]bid, rows), c: make([]bid, rows),
	}
}

// round walks batches, one step after the other.
func (l *chainLoop) round(records int) {
	fill, first, keep, second, of := l.fill, l.first, l.keep, l.second, l.of
	for records > 0 {
		n := min(records, len(l.a))
		a, b := l.a[:n], l.b[:n]
		for i := range a {
			fill(l.i, &a[i])
			l.i++
		}
		for i := range a {
			first(&a[i], &b[i])
		}
		kept := 0
		for i := range b {
			if keep(&b[i]) {
				b[kept] = b[i]
				kept++
			}
		}
		c := l.c[:kept]
		for i := range c {
			second(&b[i], &c[i])
		}
		for i := range c {
			l.sum += of(&c[i])
		}
		records -= n
	}
}

// fused takes each record through all steps before the next.
func (l *chainLoop) fused(records int) {
	fill, first, keep, second, of := l.fill, l.first, l.keep, l.second, l.of
	var x, y, z bid
	p, q, r := &x, &y, &z
	for range records {
		fill(l.i, p)
		l.i++
		if first(p, q); keep(q) {
			second(q, r)
			l.sum += of(r)
		}
	}
}
