// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/window"
)

// sessionGap is how long a bidder of q11 is silent when her session is over.
const sessionGap = 10 * time.Second

// q11 counts the bids of each bidder in each session. Its output is appended to.
//
//	SELECT bidder, COUNT(*), window_start, window_end FROM SESSION(bid PARTITION BY bidder, 10 s) GROUP BY bidder, window
func q11(events stream.Stream[Event]) stream.Stream[BidderCount] {
	return events.
		FlatMap(func(e *Event, out *stream.Out[int64]) {
			if e.Kind == KindBid {
				out.Emit(e.Bid.Bidder)
			}
		}).
		KeyBy(func(bidder *int64) int64 { return *bidder }).
		Window(window.Session(sessionGap)).
		AggregateProcess("sessions", aggregate.Count[int64](),
			func(ctx *stream.WindowCtx[int64], n *int64, out *stream.Out[BidderCount]) error {
				out.Emit(BidderCount{ctx.Key(), *n, ctx.Window().Start, ctx.Window().End})
				return nil
			})
}
