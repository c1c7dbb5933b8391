// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/weir-stream/weir/state"
	"github.com/weir-stream/weir/stream"
)

// CategoryPrice is the mean of the highest bids for the auctions of a category.
type CategoryPrice struct{ Category, Price int64 }

// q4 follows the mean closing price of each category. Its output is upserts by category: the last one of each holds.
//
//	SELECT category, AVG(final) FROM (
//	  SELECT MAX(B.price) AS final, A.category FROM auction A, bid B
//	  WHERE A.id = B.auction AND B.dateTime BETWEEN A.dateTime AND A.expires GROUP BY A.id, A.category)
//	GROUP BY category
//
// The highest bid of an auction grows, so the join sends on by how much: that is what a retraction and a new value
// amount to. Of auctions and bids only the columns that are asked for are sent to the join.
func q4(events stream.Stream[Event]) stream.Stream[CategoryPrice] {
	return termsOf(events).KeyBy(func(t *terms) int64 { return t.ID }).
		Connect(pricesOf(events).KeyBy(func(p *priced) int64 { return p.Auction })).
		Process("final", (*openAuction).open, (*openAuction).bid).
		KeyBy(func(c *priceChange) int64 { return c.Category }).
		Process("mean", (*categoryPrices).add)
}

func auctionsOf(events stream.Stream[Event]) stream.Stream[Auction] {
	return events.FlatMap(func(e *Event, out *stream.Out[Auction]) {
		if e.Kind == KindAuction {
			out.Emit(e.Auction)
		}
	})
}

func bidsOf(events stream.Stream[Event]) stream.Stream[Bid] {
	return events.FlatMap(func(e *Event, out *stream.Out[Bid]) {
		if e.Kind == KindBid {
			out.Emit(e.Bid)
		}
	})
}

func (a *Auction) id() int64  { return a.ID }
func (b *Bid) auction() int64 { return b.Auction }

// terms are what q4 and q6 need of an auction, priced what they need of a bid.
type terms struct {
	ID, Seller, Category int64
	At, Expires          Millis
}

type priced struct {
	Auction, Price int64
	At             Millis
}

func termsOf(events stream.Stream[Event]) stream.Stream[terms] {
	return events.FlatMap(func(e *Event, out *stream.Out[terms]) {
		if a := &e.Auction; e.Kind == KindAuction {
			t := out.Next()
			t.ID, t.Seller, t.Category, t.At, t.Expires = a.ID, a.Seller, a.Category, a.At, a.Expires
		}
	})
}

func pricesOf(events stream.Stream[Event]) stream.Stream[priced] {
	return events.FlatMap(func(e *Event, out *stream.Out[priced]) {
		if b := &e.Bid; e.Kind == KindBid {
			p := out.Next()
			p.Auction, p.Price, p.At = b.Auction, b.Price, b.At
		}
	})
}

// priceChange is a change of the highest bids of a category: auctions that had none before, and what is added to them.
type priceChange struct{ Category, Auctions, Price int64 }

// openAuction is what q4 knows of an auction. Bids that come before it wait.
type openAuction struct {
	Open        bool
	At, Expires Millis
	Category    int64
	Final       int64
	Waiting     state.List[pricedAt]
}

type pricedAt struct {
	Price int64
	At    Millis
}

func (o *openAuction) open(_ *stream.Ctx[int64], a *terms, out *stream.Out[priceChange]) error {
	o.Open, o.At, o.Expires, o.Category = true, a.At, a.Expires, a.Category
	for b := range o.Waiting.All() {
		o.raise(*b, out)
	}
	o.Waiting.Clear()
	return nil
}

func (o *openAuction) bid(_ *stream.Ctx[int64], b *priced, out *stream.Out[priceChange]) error {
	if p := (pricedAt{b.Price, b.At}); o.Open {
		o.raise(p, out)
	} else {
		o.Waiting.Append(p)
	}
	return nil
}

func (o *openAuction) raise(b pricedAt, out *stream.Out[priceChange]) {
	if b.At < o.At || b.At > o.Expires || b.Price <= o.Final {
		return
	}
	c := priceChange{Category: o.Category, Price: b.Price - o.Final}
	if o.Final == 0 {
		c.Auctions = 1
	}
	o.Final = b.Price
	out.Emit(c)
}

// categoryPrices is the sum and number of the highest bids of a category.
type categoryPrices struct{ Auctions, Price int64 }

func (s *categoryPrices) add(_ *stream.Ctx[int64], c *priceChange, out *stream.Out[CategoryPrice]) error {
	s.Auctions += c.Auctions
	s.Price += c.Price
	out.Emit(CategoryPrice{c.Category, s.Price / s.Auctions})
	return nil
}
