// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import "github.com/weir-stream/weir/stream"

// q18 keeps the last bid of each bidder for each auction. Its output is upserts by bidder and auction: the last one of each
// holds. Of bids at the same time the one that comes last is the last.
//
//	SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY bidder, auction ORDER BY dateTime DESC) AS rank FROM bid)
//	WHERE rank <= 1
func q18(events stream.Stream[Event]) stream.Stream[Bid] {
	return bidsOf(events).
		KeyBy(func(b *Bid) pair { return pair{b.Bidder, b.Auction} }).
		LatestBy("last", func(b *Bid) Millis { return b.At })
}

// pair is a bidder and an auction.
type pair struct{ Bidder, Auction int64 }
