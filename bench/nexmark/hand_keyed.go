// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

// rowOf returns the row of a key, which it makes if there is none.
func rowOf[K comparable, V any](rows map[K]*V, key K) (row *V, isNew bool) {
	if row = rows[key]; row != nil {
		return row, false
	}
	row = new(V)
	rows[key] = row
	return row, true
}

func handQ15(g *Generator) int64 {
	var o out[DayStatistics]
	bidders, auctions, days := map[dayOf]*seen{}, map[dayOf]*seen{}, map[int32]*Statistics{}
	g.offers(func(b *Bid) {
		r := rankBid(b)
		bidder, _ := rowOf(bidders, dayOf{r.Bidder, r.Day})
		auction, _ := rowOf(auctions, dayOf{r.Auction, r.Day})
		r.NewBidder, r.NewAuction = bidder.add(r.Rank), auction.add(r.Rank)
		day, _ := rowOf(days, r.Day)
		day.add(&r)
		o.emit(&DayStatistics{r.Day, *day})
	})
	return o.n
}

func handQ16(g *Generator) int64 {
	var o out[ChannelStatistics]
	bidders, auctions, channels := map[channelOf]*seen{}, map[channelOf]*seen{}, map[channelDay]*channelSum{}
	g.offers(func(b *Bid) {
		r := rankBid(b)
		bidder, _ := rowOf(bidders, channelOf{b.Channel, r.Bidder, r.Day})
		auction, _ := rowOf(auctions, channelOf{b.Channel, r.Auction, r.Day})
		r.NewBidder, r.NewAuction = bidder.add(r.Rank), auction.add(r.Rank)
		channel, _ := rowOf(channels, channelDay{b.Channel, r.Day})
		channel.add(&r)
		channel.Minute = max(channel.Minute, minuteOf(b.At))
		o.emit(&ChannelStatistics{b.Channel, r.Day, channel.Minute, channel.Statistics})
	})
	return o.n
}

func handQ17(g *Generator) int64 {
	var o out[AuctionStatistics]
	rows := map[dayOf]*AuctionStatistics{}
	g.offers(func(b *Bid) {
		day := b.At.Day()
		s, isNew := rowOf(rows, dayOf{b.Auction, day})
		if isNew {
			s.Auction, s.Day, s.Min = b.Auction, day, b.Price
		}
		s.Bids[0]++
		s.Bids[rankBid(b).Rank]++
		s.Min, s.Max = min(s.Min, b.Price), max(s.Max, b.Price)
		s.Sum += b.Price
		s.Avg = s.Sum / s.Bids[0]
		o.emit(s)
	})
	return o.n
}

func handQ18(g *Generator) int64 {
	var o out[Bid]
	rows := map[pair]Millis{}
	g.offers(func(b *Bid) {
		key := pair{b.Bidder, b.Auction}
		if at, ok := rows[key]; !ok || b.At >= at {
			rows[key] = b.At
			o.emit(b)
		}
	})
	return o.n
}

func handQ19(g *Generator) int64 {
	var o out[RankedBid]
	rows := map[int64]*[]Bid{}
	g.offers(func(b *Bid) {
		bids, _ := rowOf(rows, b.Auction)
		at := len(*bids)
		for at > 0 && higherFirst(b, &(*bids)[at-1]) < 0 {
			at--
		}
		if at == topBids {
			return
		}
		if len(*bids) < topBids {
			*bids = append(*bids, Bid{})
		}
		copy((*bids)[at+1:], (*bids)[at:])
		(*bids)[at] = *b
		for i := at; i < len(*bids); i++ {
			o.emit(&RankedBid{(*bids)[i], int64(i + 1)})
		}
	})
	return o.n
}
