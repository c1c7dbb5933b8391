// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import "time"

// slideCounts are the bids of a slide of q5, by auction: those from base on, for they are dense.
type slideCounts struct {
	base   int64
	counts []int32
}

func (s *slideCounts) add(auction int64) {
	if len(s.counts) == 0 || auction < s.base {
		s.rebase(auction)
	}
	at := int(auction - s.base)
	for at >= len(s.counts) {
		s.counts = append(s.counts, 0)
	}
	s.counts[at]++
}

// rebase makes room for auctions that are older than those seen so far.
func (s *slideCounts) rebase(auction int64) {
	base := max(0, auction-2*hotBatch)
	if len(s.counts) > 0 {
		s.counts = append(make([]int32, s.base-base), s.counts...)
	}
	s.base = base
}

func handQ5(g *Generator) int64 {
	const slides = int64(hotItemsSize / hotItemsSlide)
	var o out[HotItem]
	var ring [slides]slideCounts
	var sum []int32
	fire := func() {
		low, high := int64(1)<<62, int64(0)
		for _, s := range ring {
			if len(s.counts) > 0 {
				low, high = min(low, s.base), max(high, s.base+int64(len(s.counts)))
			}
		}
		sum = append(sum[:0], make([]int32, max(0, high-low))...)
		most := int32(1)
		for _, s := range ring {
			into := sum[max(0, min(s.base-low, int64(len(sum)))):]
			for i, n := range s.counts {
				into[i] += n
				most = max(most, into[i])
			}
		}
		for i, n := range sum {
			if n == most {
				o.emit(&HotItem{low + int64(i), int64(n)})
			}
		}
	}
	current := int64(-1)
	g.offers(func(b *Bid) {
		slide := int64(b.At) / hotItemsSlide.Milliseconds()
		for current < slide {
			if current < 0 {
				current = slide
				continue
			}
			fire()
			current++
			ring[current%slides] = slideCounts{counts: ring[current%slides].counts[:0]}
		}
		ring[slide%slides].add(b.Auction)
	})
	for range slides { // the windows that are open at the end
		fire()
		current++
		ring[current%slides] = slideCounts{}
	}
	return o.n
}

func handQ7(g *Generator) int64 {
	var o out[Offer]
	var best highest
	current := int64(-1)
	fire := func() {
		for i := range best.Offers {
			o.emit(&best.Offers[i])
		}
		best = highest{Offers: best.Offers[:0]}
	}
	g.offers(func(b *Bid) {
		if w := int64(b.At) / highestPeriod.Milliseconds(); w != current {
			fire()
			current = w
		}
		if b.Price >= best.Price {
			best.add(&Offer{b.Auction, b.Bidder, b.Price, b.At, b.Extra})
		}
	})
	fire()
	return o.n
}

func handQ8(g *Generator) int64 {
	var o out[NewSeller]
	var e Event
	users := map[int64]*newUser{}
	current := int64(-1)
	fire := func() {
		start := time.UnixMilli(current * newUserPeriod.Milliseconds()).UTC()
		for id, u := range users {
			if u.Registered && u.Sells {
				o.emit(&NewSeller{id, u.Name, start})
			}
		}
		clear(users)
	}
	for i := range g.Events {
		g.Event(i, &e)
		var a activity
		var at Millis
		switch e.Kind {
		case KindBid:
			continue
		case KindPerson:
			a, at = activity{e.Person.ID, e.Person.Name, true}, e.Person.At
		case KindAuction:
			a, at = activity{ID: e.Auction.Seller}, e.Auction.At
		}
		if w := int64(at) / newUserPeriod.Milliseconds(); w != current {
			fire()
			current = w
		}
		u := users[a.ID]
		if u == nil {
			u = &newUser{}
			users[a.ID] = u
		}
		u.add(&a)
	}
	fire()
	return o.n
}

// session is one of q11 that may go on.
type session struct {
	bids        int64
	start, last Millis
}

func handQ11(g *Generator) int64 {
	var o out[BidderCount]
	sessions := map[int64]*session{}
	gap := Millis(sessionGap.Milliseconds())
	end := func(bidder int64, s *session) {
		o.emit(&BidderCount{bidder, s.bids, s.start.Time(), (s.last + gap).Time()})
	}
	g.offers(func(b *Bid) {
		s, isNew := rowOf(sessions, b.Bidder)
		if !isNew && b.At > s.last+gap {
			end(b.Bidder, s)
			isNew = true
		}
		if isNew {
			s.bids, s.start = 0, b.At
		}
		s.bids++
		s.last = b.At
	})
	for bidder, s := range sessions {
		end(bidder, s)
	}
	return o.n
}
