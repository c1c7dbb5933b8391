// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/weir-stream/weir/state"
	"github.com/weir-stream/weir/stream"
)

// AuctionBid is a bid with its auction.
type AuctionBid struct {
	Bid     Bid
	Auction Auction
}

// q20 joins the bids with their auctions, as far as these are of category 10. Its output is appended to.
//
//	SELECT B.*, A.* FROM bid B JOIN auction A ON B.auction = A.id WHERE A.category = 10
//
// Bids that come before their auction wait for it. All auctions take part in the join, so that no bid waits for one of
// another category.
func q20(events stream.Stream[Event]) stream.Stream[AuctionBid] {
	return auctionsOf(events).KeyBy((*Auction).id).
		Connect(bidsOf(events).KeyBy((*Bid).auction)).
		Process("join", (*joined).open, (*joined).bid)
}

// joined is an auction, and the bids that came before it.
type joined struct {
	Open    bool
	Auction Auction
	Waiting state.List[Bid]
}

func (j *joined) open(_ *stream.Ctx[int64], a *Auction, out *stream.Out[AuctionBid]) error {
	j.Open = true
	if a.Category == firstCategory {
		j.Auction = *a
	}
	for b := range j.Waiting.All() {
		j.emit(b, out)
	}
	j.Waiting.Clear()
	return nil
}

func (j *joined) bid(_ *stream.Ctx[int64], b *Bid, out *stream.Out[AuctionBid]) error {
	if j.Open {
		j.emit(b, out)
	} else {
		j.Waiting.Append(*b)
	}
	return nil
}

func (j *joined) emit(b *Bid, out *stream.Out[AuctionBid]) {
	if j.Auction.Category == firstCategory {
		out.Emit(AuctionBid{*b, j.Auction})
	}
}
