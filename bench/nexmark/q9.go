// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/weir-stream/weir/state"
	"github.com/weir-stream/weir/stream"
)

// WinningBid is an auction and its highest bid so far.
type WinningBid struct {
	Auction Auction
	Bid     Offer
}

// q9 follows the winning bid of each auction: the highest, of equal ones the first. Its output is upserts by auction: the
// last one of each holds.
//
//	SELECT A.*, B.* FROM (SELECT ..., ROW_NUMBER() OVER (PARTITION BY A.id ORDER BY B.price DESC, B.dateTime) AS rownum
//	  FROM auction A, bid B WHERE A.id = B.auction AND B.dateTime BETWEEN A.dateTime AND A.expires) WHERE rownum <= 1
func q9(events stream.Stream[Event]) stream.Stream[WinningBid] {
	return auctionsOf(events).KeyBy((*Auction).id).
		Connect(q0(events).KeyBy(func(o *Offer) int64 { return o.Auction })).
		Process("winning", (*winning).open, (*winning).bid)
}

// winning is an auction with its best bid, which has no bidder before there is one. Bids that come before it wait.
type winning struct {
	Open    bool
	Auction Auction
	Best    Offer
	Waiting state.List[Offer]
}

func (w *winning) open(_ *stream.Ctx[int64], a *Auction, out *stream.Out[WinningBid]) error {
	w.Open, w.Auction = true, *a
	for b := range w.Waiting.All() {
		w.compare(b, out)
	}
	w.Waiting.Clear()
	return nil
}

func (w *winning) bid(_ *stream.Ctx[int64], b *Offer, out *stream.Out[WinningBid]) error {
	if w.Open {
		w.compare(b, out)
	} else {
		w.Waiting.Append(*b)
	}
	return nil
}

func (w *winning) compare(b *Offer, out *stream.Out[WinningBid]) {
	inTime := b.At >= w.Auction.At && b.At <= w.Auction.Expires
	if inTime && (b.Price > w.Best.Price || b.Price == w.Best.Price && b.At < w.Best.At) {
		w.Best = *b
		out.Emit(WinningBid{w.Auction, *b})
	}
}
