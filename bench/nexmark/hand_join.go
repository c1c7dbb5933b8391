// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"container/heap"
	"math"
)

// sold is a person of q3, and the auctions that came before her.
type sold struct {
	person  *seller
	waiting []int64
}

func handQ3(g *Generator) int64 {
	var o out[LocalItem]
	var e Event
	people := map[int64]*sold{}
	of := func(id int64) *sold {
		s := people[id]
		if s == nil {
			s = &sold{}
			people[id] = s
		}
		return s
	}
	for i := range g.Events {
		g.Event(i, &e)
		switch {
		case e.Kind == KindAuction && e.Auction.Category == firstCategory:
			s := of(e.Auction.Seller)
			if s.person == nil {
				s.waiting = append(s.waiting, e.Auction.ID)
			} else if isLocal(s.person.State) {
				o.emit(&LocalItem{s.person.Name, s.person.City, s.person.State, e.Auction.ID})
			}
		case e.Kind == KindPerson:
			p, s := &e.Person, of(e.Person.ID)
			s.person = &seller{p.ID, p.Name, p.City, p.State}
			for _, a := range s.waiting {
				if isLocal(p.State) {
					o.emit(&LocalItem{p.Name, p.City, p.State, a})
				}
			}
			s.waiting = nil
		}
	}
	return o.n
}

// opened is an auction, and the bids that came before it.
type opened struct {
	auction *Auction
	best    Offer
	waiting []Bid
}

// joinBids calls f with each bid whose auction is known, and later with those that came before it.
func joinBids(g *Generator, f func(a *opened, b *Bid)) {
	var e Event
	auctions := map[int64]*opened{}
	of := func(id int64) *opened {
		a := auctions[id]
		if a == nil {
			a = &opened{}
			auctions[id] = a
		}
		return a
	}
	for i := range g.Events {
		switch g.Event(i, &e); e.Kind {
		case KindBid:
			if a := of(e.Bid.Auction); a.auction == nil {
				a.waiting = append(a.waiting, e.Bid)
			} else {
				f(a, &e.Bid)
			}
		case KindAuction:
			a, row := of(e.Auction.ID), e.Auction
			a.auction = &row
			for i := range a.waiting {
				f(a, &a.waiting[i])
			}
			a.waiting = nil
		case KindPerson:
		}
	}
}

func handQ4(g *Generator) int64 {
	var o out[CategoryPrice]
	var sums [categories]categoryPrices
	joinBids(g, func(a *opened, b *Bid) {
		if b.At < a.auction.At || b.At > a.auction.Expires || b.Price <= a.best.Price {
			return
		}
		s := &sums[a.auction.Category-firstCategory]
		if a.best.Price == 0 {
			s.Auctions++
		}
		s.Price += b.Price - a.best.Price
		a.best.Price = b.Price
		o.emit(&CategoryPrice{a.auction.Category, s.Price / s.Auctions})
	})
	return o.n
}

func handQ9(g *Generator) int64 {
	var o out[WinningBid]
	joinBids(g, func(a *opened, b *Bid) {
		inTime := b.At >= a.auction.At && b.At <= a.auction.Expires
		if inTime && (b.Price > a.best.Price || b.Price == a.best.Price && b.At < a.best.At) {
			a.best = Offer{b.Auction, b.Bidder, b.Price, b.At, b.Extra}
			o.emit(&WinningBid{*a.auction, a.best})
		}
	})
	return o.n
}

func handQ20(g *Generator) int64 {
	var o out[AuctionBid]
	joinBids(g, func(a *opened, b *Bid) {
		if a.auction.Category == firstCategory {
			o.emit(&AuctionBid{*b, *a.auction})
		}
	})
	return o.n
}

// trader is a person of q23 with her bids and auctions.
type trader struct {
	person   *Person
	bids     []Bid
	auctions []Auction
}

func handQ23(g *Generator) int64 {
	var o out[SellingBidder]
	var e Event
	people := map[int64]*trader{}
	of := func(id int64) *trader {
		t := people[id]
		if t == nil {
			t = &trader{}
			people[id] = t
		}
		return t
	}
	for i := range g.Events {
		switch g.Event(i, &e); e.Kind {
		case KindPerson:
			t, row := of(e.Person.ID), e.Person
			t.person = &row
			for b := range t.bids {
				for a := range t.auctions {
					o.emit(&SellingBidder{t.bids[b], row, t.auctions[a]})
				}
			}
		case KindAuction:
			t := of(e.Auction.Seller)
			t.auctions = append(t.auctions, e.Auction)
			for b := range t.bids {
				if t.person != nil {
					o.emit(&SellingBidder{t.bids[b], *t.person, e.Auction})
				}
			}
		case KindBid:
			t := of(e.Bid.Bidder)
			t.bids = append(t.bids, e.Bid)
			for a := range t.auctions {
				if t.person != nil {
					o.emit(&SellingBidder{e.Bid, *t.person, t.auctions[a]})
				}
			}
		}
	}
	return o.n
}

// ending is an auction of q6 that is open, in a heap by its end.
type ending struct {
	auction *opened
	expires Millis
	id      int64
}

// endings is a heap, the first to end at the top.
type endings []ending

func (h *endings) Len() int { return len(*h) }

func (h *endings) Less(i, j int) bool {
	a, b := (*h)[i], (*h)[j]
	return cmp.Or(cmp.Compare(a.expires, b.expires), cmp.Compare(a.id, b.id)) < 0
}

func (h *endings) Swap(i, j int) { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }

// Push adds an auction.
func (h *endings) Push(x any) { *h = append(*h, x.(ending)) }

// Pop removes the last one.
func (h *endings) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func handQ6(g *Generator) int64 {
	var o out[SellerPrice]
	var open endings
	var e Event
	auctions, sellers := map[int64]*opened{}, map[int64]*lastPrices{}
	closeBefore := func(at Millis) {
		for len(open) > 0 && open[0].expires < at {
			a := heap.Pop(&open).(ending).auction
			if a.best.Price > 0 {
				last, _ := rowOf(sellers, a.auction.Seller)
				o.emit(&SellerPrice{a.auction.Seller, last.add(a.best.Price)})
			}
		}
	}
	raise := func(a *opened, b *Bid) {
		if b.At >= a.auction.At && b.At <= a.auction.Expires {
			a.best.Price = max(a.best.Price, b.Price)
		}
	}
	for i := range g.Events {
		switch g.Event(i, &e); e.Kind {
		case KindBid:
			closeBefore(e.Bid.At)
			if a, _ := rowOf(auctions, e.Bid.Auction); a.auction == nil {
				a.waiting = append(a.waiting, e.Bid)
			} else {
				raise(a, &e.Bid)
			}
		case KindAuction:
			a, _ := rowOf(auctions, e.Auction.ID)
			row := e.Auction
			a.auction = &row
			for i := range a.waiting {
				raise(a, &a.waiting[i])
			}
			a.waiting = nil
			heap.Push(&open, ending{a, row.Expires, row.ID})
		case KindPerson:
		}
	}
	closeBefore(math.MaxInt64)
	return o.n
}
