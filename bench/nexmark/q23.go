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
func q23(events stream.Stream[Event]) stream.Stream[SellingBidder] {
	people := events.FlatMap(func(e *Event, out *stream.Out[Person]) {
		if e.Kind == KindPerson {
			out.Emit(e.Person)
		}
	})
	bidders := people.KeyBy(func(p *Person) int64 { return p.ID }).
		Connect(bidsOf(events).KeyBy((*Bid).bidder)).
		Process("bidders", (*bidder).register, (*bidder).bid)
	return bidders.KeyBy(func(b *personBid) int64 { return b.Person.ID }).
		Connect(auctionsOf(events).KeyBy(func(a *Auction) int64 { return a.Seller })).
		Process("sellers", (*sellingBidder).bid, (*sellingBidder).open)
}

// personBid is a bid and who made it.
type personBid struct {
	Bid    Bid
	Person Person
}

// bidder is a person, and the bids that came before her.
type bidder struct {
	Known   bool
	Person  Person
	Waiting state.List[Bid]
}

func (r *bidder) register(_ *stream.Ctx[int64], p *Person, out *stream.Out[personBid]) error {
	r.Known, r.Person = true, *p
	for b := range r.Waiting.All() {
		out.Emit(personBid{*b, r.Person})
	}
	r.Waiting.Clear()
	return nil
}

func (r *bidder) bid(_ *stream.Ctx[int64], b *Bid, out *stream.Out[personBid]) error {
	if r.Known {
		out.Emit(personBid{*b, r.Person})
	} else {
		r.Waiting.Append(*b)
	}
	return nil
}

// sellingBidder is all bids and all auctions of a person: any of the one may meet any of the other.
type sellingBidder struct {
	Person   Person
	Bids     state.List[Bid]
	Auctions state.List[Auction]
}

func (s *sellingBidder) bid(_ *stream.Ctx[int64], b *personBid, out *stream.Out[SellingBidder]) error {
	s.Person = b.Person
	s.Bids.Append(b.Bid)
	for a := range s.Auctions.All() {
		out.Emit(SellingBidder{b.Bid, b.Person, *a})
	}
	return nil
}

func (s *sellingBidder) open(_ *stream.Ctx[int64], a *Auction, out *stream.Out[SellingBidder]) error {
	s.Auctions.Append(*a)
	for b := range s.Bids.All() {
		out.Emit(SellingBidder{*b, s.Person, *a})
	}
	return nil
}
