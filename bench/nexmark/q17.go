// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import "github.com/weir-stream/weir/stream"

// AuctionStatistics is what was bid for an auction on a day. Bids are counted as in Statistics.
type AuctionStatistics struct {
	Auction            int64
	Day                int32
	Bids               [4]int64
	Min, Max, Avg, Sum int64
}

// q17 follows the bids for each auction on a day. Its output is upserts by auction and day: the last one of each holds.
//
//	SELECT auction, day, COUNT(*), COUNT(*) FILTER rank 1 to 3, MIN(price), MAX(price), AVG(price), SUM(price)
//	FROM bid GROUP BY auction, DATE_FORMAT(dateTime, 'yyyy-MM-dd') AS day
func q17(events stream.Stream[Event]) stream.Stream[AuctionStatistics] {
	return events.
		FlatMap(func(e *Event, out *stream.Out[auctionBid]) {
			if e.Kind == KindBid {
				out.Emit(auctionBid{e.Bid.Auction, e.Bid.Price, e.Bid.At.Day(), rankBid(&e.Bid).Rank})
			}
		}).
		KeyBy(func(b *auctionBid) dayOf { return dayOf{b.Auction, b.Day} }).
		Process("statistics", (*AuctionStatistics).add)
}

type auctionBid struct {
	Auction, Price int64
	Day            int32
	Rank           uint8
}

func (s *AuctionStatistics) add(ctx *stream.Ctx[dayOf], b *auctionBid, out *stream.Out[AuctionStatistics]) error {
	if ctx.New() {
		s.Auction, s.Day, s.Min = b.Auction, b.Day, b.Price
	}
	s.Bids[0]++
	s.Bids[b.Rank]++
	s.Min, s.Max = min(s.Min, b.Price), max(s.Max, b.Price)
	s.Sum += b.Price
	s.Avg = s.Sum / s.Bids[0]
	out.Emit(*s)
	return nil
}
