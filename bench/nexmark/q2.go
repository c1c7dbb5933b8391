// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import "github.com/weir-stream/weir/stream"

// AuctionPrice is what was bid for an auction.
type AuctionPrice struct{ Auction, Price int64 }

// q2 picks the bids for some auctions. Its output is appended to.
//
//	SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0
func q2(events stream.Stream[Event]) stream.Stream[AuctionPrice] {
	return events.FlatMap(func(e *Event, out *stream.Out[AuctionPrice]) {
		if e.Kind == KindBid && e.Bid.Auction%123 == 0 {
			out.Emit(AuctionPrice{e.Bid.Auction, e.Bid.Price})
		}
	})
}
