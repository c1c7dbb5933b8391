// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"time"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/window"
)

// highestPeriod is the window in which q7 looks for the highest bid.
const highestPeriod = 10 * time.Second

// q7 finds the highest bids of each ten seconds; several where they are equal. Its output is appended to.
//
//	SELECT auction, price, bidder, dateTime, extra FROM bid
//	JOIN (SELECT MAX(price) AS maxprice, window_end FROM TUMBLE(bid, 10 s)) ON price = maxprice AND in that window
//
// All bids are compared by one subtask, which the producers combine them for. The SQL also takes a bid of the highest price
// at the very end of a window, which is in the next one; that is left out.
func q7(events stream.Stream[Event]) stream.Stream[Offer] {
	return q0(events).
		WindowAll(window.Tumbling(highestPeriod)).
		AggregateProcess("highest", aggregate.Of((*highest).add, (*highest).merge, (*highest).result),
			func(_ *stream.WindowCtx[stream.None], h *highest, out *stream.Out[Offer]) error {
				for i := range h.Offers {
					*out.Next() = h.Offers[i]
				}
				return nil
			})
}

// highest is the offers of the highest price.
type highest struct {
	Price  int64
	Offers []Offer
}

func (h *highest) add(in *Offer) {
	if in.Price > h.Price {
		h.Price, h.Offers = in.Price, h.Offers[:0]
	}
	if in.Price == h.Price {
		h.Offers = append(h.Offers, *in)
	}
}

func (h *highest) merge(from *highest) {
	switch {
	case from.Price > h.Price:
		h.Price, h.Offers = from.Price, slices.Clone(from.Offers)
	case from.Price == h.Price:
		h.Offers = append(h.Offers, from.Offers...)
	}
}

func (h *highest) result() highest { return *h }
