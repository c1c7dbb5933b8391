// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import "strings"

// The loops here do what the queries do, as one would write a program for nothing else: one goroutine, no operators, no
// batches, no checkpoints, state in maps. They make the same events, and fill the rows that come out.

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

func handQ13(g *Generator) int64 {
	var o out[EnrichedBid]
	side := sideInput()
	g.offers(func(b *Bid) {
		if v, ok := side[b.Auction%sideRows]; ok {
			o.emit(&EnrichedBid{b.Auction, b.Bidder, b.Price, b.At, v})
		}
	})
	return o.n
}

func handQ14(g *Generator) int64 {
	var o out[TimedOffer]
	g.offers(func(b *Bid) {
		if p := b.Price * euroMills; p > priceFloor && p < priceCeiling {
			o.emit(&TimedOffer{EuroOffer{b.Auction, b.Bidder, p, b.At, b.Extra}, timeType(b.At), int64(strings.Count(b.Extra, "c"))})
		}
	})
	return o.n
}

func handQ21(g *Generator) int64 {
	var o out[ChannelBid]
	g.offers(func(b *Bid) {
		if id, ok := channelID(b.Channel, b.URL); ok {
			o.emit(&ChannelBid{b.Auction, b.Bidder, b.Price, b.Channel, id})
		}
	})
	return o.n
}

func handQ22(g *Generator) int64 {
	var o out[DirBid]
	g.offers(func(b *Bid) {
		one, two, three := dirs(b.URL)
		o.emit(&DirBid{b.Auction, b.Bidder, b.Price, b.Channel, one, two, three})
	})
	return o.n
}
