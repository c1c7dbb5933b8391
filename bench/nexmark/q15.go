// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import "github.com/weir-stream/weir/stream"

// DayStatistics is what was bid on a day.
type DayStatistics struct {
	Day int32
	Statistics
}

// Statistics counts bids, bidders and auctions: first of all, then of those with prices below 100 dollars, below 10,000, and
// from there on.
type Statistics struct{ Bids, Bidders, Auctions [4]int64 }

// q15 follows how many bids, bidders and auctions a day has. Its output is upserts by day: the last one of each holds.
//
//	SELECT day, COUNT(*), COUNT(*) FILTER rank 1 to 3, COUNT(DISTINCT bidder), ... FILTER rank 1 to 3,
//	  COUNT(DISTINCT auction), ... FILTER rank 1 to 3 FROM bid GROUP BY DATE_FORMAT(dateTime, 'yyyy-MM-dd') AS day
//
// A distinct count in one place would hold all bidders in one row. So each bid passes by its bidder and by its auction
// first, who tell in which ranks they are new on that day, and then only numbers are added.
func q15(events stream.Stream[Event]) stream.Stream[DayStatistics] {
	return events.
		FlatMap(func(e *Event, out *stream.Out[rankedBid]) {
			if e.Kind == KindBid {
				out.Emit(rankBid(&e.Bid))
			}
		}).
		KeyBy(func(b *rankedBid) dayOf { return dayOf{b.Bidder, b.Day} }).
		Process("bidders", func(s *seen, _ *stream.Ctx[dayOf], b *rankedBid, out *stream.Out[rankedBid]) error {
			b.NewBidder = s.add(b.Rank)
			out.Emit(*b)
			return nil
		}).
		KeyBy(func(b *rankedBid) dayOf { return dayOf{b.Auction, b.Day} }).
		Process("auctions", func(s *seen, _ *stream.Ctx[dayOf], b *rankedBid, out *stream.Out[rankedBid]) error {
			b.NewAuction = s.add(b.Rank)
			out.Emit(*b)
			return nil
		}).
		KeyBy(func(b *rankedBid) int32 { return b.Day }).
		Process("days", func(s *Statistics, _ *stream.Ctx[int32], b *rankedBid, out *stream.Out[DayStatistics]) error {
			s.add(b)
			out.Emit(DayStatistics{b.Day, *s})
			return nil
		})
}

// rankedBid is a bid with the rank of its price, and the ranks in which its bidder and its auction are new.
type rankedBid struct {
	Bidder, Auction       int64
	Day                   int32
	Rank                  uint8
	NewBidder, NewAuction ranks
}

// ranks is a set: bit 0 is of all bids, bits 1 to 3 of those ranks.
type ranks uint8

// Prices in cents at which the second and the third rank begin.
const (
	rank2Price = 10_000
	rank3Price = 1_000_000
)

func rankBid(b *Bid) rankedBid {
	r := rankedBid{Bidder: b.Bidder, Auction: b.Auction, Day: b.At.Day(), Rank: 1}
	switch {
	case b.Price >= rank3Price:
		r.Rank = 3
	case b.Price >= rank2Price:
		r.Rank = 2
	}
	return r
}

// dayOf is a bidder or auction on a day.
type dayOf struct {
	ID  int64
	Day int32
}

// seen is the ranks in which a bidder or auction was seen on a day.
type seen struct{ Ranks ranks }

// add returns the ranks in which it is new.
func (s *seen) add(rank uint8) ranks {
	fresh := (1 | 1<<rank) &^ s.Ranks
	s.Ranks |= fresh
	return fresh
}

func (s *Statistics) add(b *rankedBid) {
	s.Bids[0]++
	s.Bids[b.Rank]++
	for i := range 4 {
		s.Bidders[i] += int64(b.NewBidder >> i & 1)
		s.Auctions[i] += int64(b.NewAuction >> i & 1)
	}
}
