// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import "github.com/weir-stream/weir/stream"

// EuroOffer is a bid whose price is in thousandths of a cent of the euro, which is exact.
type EuroOffer struct {
	Auction, Bidder int64
	Price           int64
	At              Millis
	Extra           string
}

// euroMills is what a dollar is worth, in thousandths of a euro.
const euroMills = 908

// q1 turns dollars into euros. Its output is appended to.
//
//	SELECT auction, bidder, 0.908 * price, dateTime, extra FROM bid
func q1(events stream.Stream[Event]) stream.Stream[EuroOffer] {
	return events.FlatMap(func(e *Event, out *stream.Out[EuroOffer]) {
		if b := &e.Bid; e.Kind == KindBid {
			o := out.Next()
			o.Auction, o.Bidder, o.Price, o.At, o.Extra = b.Auction, b.Bidder, b.Price*euroMills, b.At, b.Extra
		}
	})
}
