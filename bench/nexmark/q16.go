// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/weir-stream/weir/stream"
)

// ChannelStatistics is what was bid through a channel on a day, and the last minute of the day in which it was.
type ChannelStatistics struct {
	Channel string
	Day     int32
	Minute  int32
	Statistics
}

// q16 is q15 by channel. Its output is upserts by channel and day: the last one of each holds.
//
//	SELECT channel, day, MAX(DATE_FORMAT(dateTime, 'HH:mm')), the counts of q15 FROM bid GROUP BY channel, day
func q16(events stream.Stream[Event]) stream.Stream[ChannelStatistics] {
	return events.
		FlatMap(func(e *Event, out *stream.Out[channelBid]) {
			if e.Kind == KindBid {
				out.Emit(channelBid{e.Bid.Channel, minuteOf(e.Bid.At), rankBid(&e.Bid)})
			}
		}).
		KeyBy(func(b *channelBid) channelOf { return channelOf{b.Channel, b.Ranked.Bidder, b.Ranked.Day} }).
		Process("bidders", func(s *seen, _ *stream.Ctx[channelOf], b *channelBid, out *stream.Out[channelBid]) error {
			b.Ranked.NewBidder = s.add(b.Ranked.Rank)
			out.Emit(*b)
			return nil
		}).
		KeyBy(func(b *channelBid) channelOf { return channelOf{b.Channel, b.Ranked.Auction, b.Ranked.Day} }).
		Process("auctions", func(s *seen, _ *stream.Ctx[channelOf], b *channelBid, out *stream.Out[channelBid]) error {
			b.Ranked.NewAuction = s.add(b.Ranked.Rank)
			out.Emit(*b)
			return nil
		}).
		KeyBy(func(b *channelBid) channelDay { return channelDay{b.Channel, b.Ranked.Day} }).
		Process("channels", func(s *channelSum, _ *stream.Ctx[channelDay], b *channelBid, out *stream.Out[ChannelStatistics]) error {
			s.add(&b.Ranked)
			s.Minute = max(s.Minute, b.Minute)
			out.Emit(ChannelStatistics{b.Channel, b.Ranked.Day, s.Minute, s.Statistics})
			return nil
		})
}

// minuteOf is the minute of the day.
func minuteOf(at Millis) int32 { return int32(int64(at) / time.Minute.Milliseconds() % (24 * 60)) }

// channelBid is a bid through a channel, at a minute of the day.
type channelBid struct {
	Channel string
	Minute  int32
	Ranked  rankedBid
}

// channelOf is a bidder or auction on a day, as far as one channel sees it.
type channelOf struct {
	Channel string
	ID      int64
	Day     int32
}

type channelDay struct {
	Channel string
	Day     int32
}

type channelSum struct {
	Minute int32
	Statistics
}
