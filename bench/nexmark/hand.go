// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

// The loops here do what the queries do, as one would write a program for nothing else: one goroutine, no operators, no
// batches, no checkpoints. They make the same events, and fill the rows that come out.

// offers calls f with each bid.
func (g *Generator) offers(f func(b *Bid)) {
	var e Event
	for i := range g.Events {
		if g.Event(i, &e); e.Kind == KindBid {
			f(&e.Bid)
		}
	}
}

// out is where a loop writes its rows, so that no compiler finds them useless.
type out[T any] struct {
	row T
	n   int64
}

//go:noinline
func (o *out[T]) emit(row *T) {
	o.row = *row
	o.n++
}

func handQ0(g *Generator) int64 {
	var o out[Offer]
	g.offers(func(b *Bid) { o.emit(&Offer{b.Auction, b.Bidder, b.Price, b.At, b.Extra}) })
	return o.n
}

func handQ1(g *Generator) int64 {
	var o out[EuroOffer]
	g.offers(func(b *Bid) { o.emit(&EuroOffer{b.Auction, b.Bidder, b.Price * euroMills, b.At, b.Extra}) })
	return o.n
}

func handQ2(g *Generator) int64 {
	var o out[AuctionPrice]
	g.offers(func(b *Bid) {
		if b.Auction%123 == 0 {
			o.emit(&AuctionPrice{b.Auction, b.Price})
		}
	})
	return o.n
}
