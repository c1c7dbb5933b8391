// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"

	"github.com/weir-stream/weir/state"
	"github.com/weir-stream/weir/stream"
)

// SellerPrice is the mean of the last closing prices of a seller.
type SellerPrice struct{ Seller, Price int64 }

// lastClosed is how many auctions of a seller q6 looks back.
const lastClosed = 10

// q6 finds the mean closing price of the last ten auctions of each seller, anew with each that closes with a bid. Its output
// is appended to, for each seller in the order in which auctions close, of those at the same time by number.
//
//	SELECT seller, AVG(final) OVER (PARTITION BY seller ORDER BY expires ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) FROM (
//	  SELECT MAX(B.price) AS final, A.seller, A.expires FROM auction A, bid B
//	  WHERE A.id = B.auction AND B.dateTime BETWEEN A.dateTime AND A.expires GROUP BY A.id, A.seller, A.expires)
//
// Flink's SQL has no window over rows of a result that is updated, and so no q6. Here nothing is updated: an auction is
// closed by a timer at its end, when all bids for it have come.
func q6(events stream.Stream[Event]) stream.Stream[SellerPrice] {
	return termsOf(events).KeyBy(func(t *terms) int64 { return t.ID }).
		Connect(pricesOf(events).KeyBy(func(p *priced) int64 { return p.Auction })).
		ProcessTimed("closed", (*closing).open, (*closing).bid, (*closing).close).
		KeyBy(func(c *closed) int64 { return c.Seller }).
		ProcessTimed("mean", (*sellerPrices).add, (*sellerPrices).advance)
}

// closed is an auction at its end.
type closed struct {
	Seller, Auction, Final int64
	At                     Millis
}

// compare is by the order in which auctions close.
func (c *closed) compare(o *closed) int {
	return cmp.Or(cmp.Compare(c.At, o.At), cmp.Compare(c.Auction, o.Auction))
}

// closing is an auction until it closes. Bids that come before it wait; what comes behind its end finds that it is over.
type closing struct {
	Auction     int64
	Seller      int64
	At, Expires Millis
	Final       int64
	Waiting     state.List[pricedAt]
}

func (c *closing) open(ctx *stream.Ctx[int64], a *terms, _ *stream.Out[closed]) error {
	c.Auction, c.Seller, c.At, c.Expires = a.ID, a.Seller, a.At, a.Expires
	for b := range c.Waiting.All() {
		c.raise(*b)
	}
	c.Waiting.Clear()
	ctx.EventTimer(a.Expires.Time())
	return nil
}

func (c *closing) bid(_ *stream.Ctx[int64], b *priced, _ *stream.Out[closed]) error {
	if p := (pricedAt{b.Price, b.At}); c.Auction == b.Auction {
		c.raise(p)
	} else {
		c.Waiting.Append(p)
	}
	return nil
}

func (c *closing) raise(b pricedAt) {
	if b.At >= c.At && b.At <= c.Expires {
		c.Final = max(c.Final, b.Price)
	}
}

func (c *closing) close(_ *stream.Ctx[int64], _ stream.Timer, out *stream.Out[closed]) error {
	if c.Final > 0 {
		out.Emit(closed{c.Seller, c.Auction, c.Final, c.Expires})
	}
	return nil
}

// sellerPrices is the last closing prices of a seller, and what closed but not in its turn yet: auctions come from several
// subtasks, and only the watermark says that none is missing. They are kept in their order.
type sellerPrices struct {
	Last  lastPrices
	Early state.List[closed]
}

func (s *sellerPrices) add(ctx *stream.Ctx[int64], c *closed, _ *stream.Out[SellerPrice]) error {
	at := s.Early.Len()
	for at > 0 && c.compare(s.Early.At(at-1)) < 0 {
		at--
	}
	s.Early.Insert(at, *c)
	ctx.EventTimer(c.At.Time())
	return nil
}

func (s *sellerPrices) advance(ctx *stream.Ctx[int64], t stream.Timer, out *stream.Out[SellerPrice]) error {
	s.Early.DeleteFunc(func(c *closed) bool {
		if c.At.Time().After(t.At) {
			return false
		}
		out.Emit(SellerPrice{ctx.Key(), s.Last.add(c.Final)})
		return true
	})
	return nil
}

// lastPrices are the last ones in turn: N have come so far, and the next one takes the place of the oldest.
type lastPrices struct {
	Prices [lastClosed]int64
	N      int64
}

// add returns the mean.
func (l *lastPrices) add(price int64) int64 {
	l.Prices[l.N%lastClosed] = price
	l.N++
	sum := int64(0)
	for _, p := range l.Prices {
		sum += p
	}
	return sum / min(l.N, lastClosed)
}
