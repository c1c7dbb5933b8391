// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"

	"github.com/weir-stream/weir/stream"
)

// RankedBid is one of the ten highest bids for its auction.
type RankedBid struct {
	Bid
	Rank int64
}

// topBids is how many bids q19 keeps of each auction.
const topBids = 10

// q19 follows the ten highest bids of each auction; of equal ones the earlier is higher. Its output is upserts by auction
// and rank: the last one of each holds.
//
//	SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) AS rank_number FROM bid)
//	WHERE rank_number <= 10
func q19(events stream.Stream[Event]) stream.Stream[RankedBid] {
	return bidsOf(events).
		KeyBy((*Bid).auction).
		TopN("top", topBids, higherFirst, func(rank int, b *Bid, out *RankedBid) { out.Bid, out.Rank = *b, int64(rank) })
}

func higherFirst(a, b *Bid) int {
	return cmp.Or(cmp.Compare(b.Price, a.Price), cmp.Compare(a.At, b.At))
}
