// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import "github.com/weir-stream/weir/stream"

// Offer is a bid without where it came from.
type Offer struct {
	Auction, Bidder, Price int64
	At                     Millis
	Extra                  string
}

// q0 passes the bids through: what it costs to move an event. Its output is appended to.
//
//	SELECT auction, bidder, price, dateTime, extra FROM bid
func q0(events stream.Stream[Event]) stream.Stream[Offer] {
	return events.FlatMap(func(e *Event, out *stream.Out[Offer]) {
		if b := &e.Bid; e.Kind == KindBid {
			o := out.Next()
			o.Auction, o.Bidder, o.Price, o.At, o.Extra = b.Auction, b.Bidder, b.Price, b.At, b.Extra
		}
	})
}
