// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/weir-stream/weir/stream"
)

// EnrichedBid is a bid with what the side input says of its auction.
type EnrichedBid struct {
	Auction, Bidder, Price int64
	At                     Millis
	Value                  string
}

// sideRows is how many rows the side input has: keys from 0 on.
const sideRows = 10_000

// sideInput makes the side input. It is bounded and does not change, so each process that builds the job holds all of it.
func sideInput() map[int64]string {
	rows := make(map[int64]string, sideRows)
	for key := range int64(sideRows) {
		rows[key] = fmt.Sprintf("side-%d", key*7%sideRows)
	}
	return rows
}

// q13 joins each bid with a bounded side input. Its output is appended to.
//
//	SELECT B.auction, B.bidder, B.price, B.dateTime, S.value FROM bid B JOIN side_input S ON MOD(B.auction, 10000) = S.key
func q13(events stream.Stream[Event]) stream.Stream[EnrichedBid] {
	side := sideInput()
	return events.FlatMap(func(e *Event, out *stream.Out[EnrichedBid]) {
		if e.Kind != KindBid {
			return
		}
		b := &e.Bid
		if value, ok := side[b.Auction%sideRows]; ok {
			o := out.Next()
			o.Auction, o.Bidder, o.Price, o.At, o.Value = b.Auction, b.Bidder, b.Price, b.At, value
		}
	})
}
