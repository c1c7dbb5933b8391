// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/weir-stream/weir/stream"
)

// DirBid is a bid with the directories of its URL.
type DirBid struct {
	Auction, Bidder, Price int64
	Channel                string
	Dir1, Dir2, Dir3       string
}

// q22 splits the URL of each bid. Its output is appended to.
//
//	SELECT auction, bidder, price, channel, SPLIT_INDEX(url, '/', 3), ... 4, ... 5 FROM bid
func q22(events stream.Stream[Event]) stream.Stream[DirBid] {
	return events.FlatMap(func(e *Event, out *stream.Out[DirBid]) {
		if b := &e.Bid; e.Kind == KindBid {
			d := out.Next()
			d.Auction, d.Bidder, d.Price, d.Channel = b.Auction, b.Bidder, b.Price, b.Channel
			d.Dir1, d.Dir2, d.Dir3 = dirs(b.URL)
		}
	})
}

// dirs are the parts of a URL behind its third slash.
func dirs(url string) (one, two, three string) {
	rest := url
	for range 3 {
		_, rest, _ = strings.Cut(rest, "/")
	}
	one, rest, _ = strings.Cut(rest, "/")
	two, rest, _ = strings.Cut(rest, "/")
	three, _, _ = strings.Cut(rest, "/")
	return one, two, three
}
