// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/weir-stream/weir/state"
	"github.com/weir-stream/weir/stream"
)

// SellingBidder is a bid, who made it, and an auction of hers.
type SellingBidder struct {
	Bid     Bid
	Person  Person
	Auction Auction
}

// q23 joins three streams: each bid of a person with each auction of the same person. Its output is appended to.
//
//	SELECT B.*, P.*, A.* FROM bid B JOIN person P ON P.id = B.bidder JOIN auction A ON A.seller = B.bidder
//
// All three have the person for a key, so one step that is keyed by her sees them all, in any order.
func q23(events stream.Stream[Event]) stream.Stream[SellingBidder] {
	return events.KeyBy((*Event).actor).Process("trades", (*trades).see)
}

// actor is who registers, sells or bids.
func (e *Event) actor() int64 {
	switch e.Kind {
	case KindPerson:
		return e.Person.ID
	case KindAuction:
		return e.Auction.Seller
	default:
		return e.Bid.Bidder
	}
}

// trades is all bids and all auctions of a person: any of the one may meet any of the other, once she is known.
type trades struct {
	Known    bool
	Person   Person
	Bids     state.List[Bid]
	Auctions state.List[Auction]
}

func (t *trades) see(_ *stream.Ctx[int64], e *Event, out *stream.Out[SellingBidder]) error {
	switch e.Kind {
	case KindPerson:
		t.Known, t.Person = true, e.Person
		for b := range t.Bids.All() {
			t.sells(b, out)
		}
	case KindAuction:
		t.Auctions.Append(e.Auction)
		for b := range t.Bids.All() {
			t.emit(b, &e.Auction, out)
		}
	case KindBid:
		t.Bids.Append(e.Bid)
		t.sells(&e.Bid, out)
	}
	return nil
}

// sells pairs a bid with all auctions.
func (t *trades) sells(b *Bid, out *stream.Out[SellingBidder]) {
	for a := range t.Auctions.All() {
		t.emit(b, a, out)
	}
}

func (t *trades) emit(b *Bid, a *Auction, out *stream.Out[SellingBidder]) {
	if t.Known {
		row := out.Next()
		row.Bid, row.Person, row.Auction = *b, t.Person, *a
	}
}
