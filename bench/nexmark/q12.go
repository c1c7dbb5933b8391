// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/weir-stream/weir/stream"
)

// BidderCount is how many bids somebody made in a window.
type BidderCount struct {
	Bidder, Bids int64
	Start, End   time.Time
}

// countPeriod is the window of q12.
const countPeriod = 10 * time.Second

// q12 counts the bids of each bidder in ten seconds of the clock. Its output is appended to; windows that are not over when
// the input ends are lost, as windows of processing time are.
//
//	SELECT bidder, COUNT(*), window_start, window_end FROM TUMBLE(bid, PROCTIME, 10 s) GROUP BY bidder, window
func q12(events stream.Stream[Event]) stream.Stream[BidderCount] {
	return events.
		FlatMap(func(e *Event, out *stream.Out[int64]) {
			if e.Kind == KindBid {
				out.Emit(e.Bid.Bidder)
			}
		}).
		KeyBy(func(bidder *int64) int64 { return *bidder }).
		ProcessTimed("counts", (*clockWindow).add, (*clockWindow).fire)
}

// clockWindow is the window that a bidder is in: its start in Unix nanoseconds, and the bids so far.
type clockWindow struct{ Start, Bids int64 }

func (w *clockWindow) add(ctx *stream.Ctx[int64], _ *int64, out *stream.Out[BidderCount]) error {
	start := ctx.Now().Truncate(countPeriod)
	if nanos := start.UnixNano(); ctx.New() || nanos != w.Start {
		w.emit(ctx.Key(), out) // the clock may pass the end of a window before its timer fires
		w.Start = nanos
		ctx.ProcessingTimer(start.Add(countPeriod))
	}
	w.Bids++
	return nil
}

func (w *clockWindow) fire(ctx *stream.Ctx[int64], t stream.Timer, out *stream.Out[BidderCount]) error {
	if t.At.UnixNano() == w.Start+int64(countPeriod) {
		w.emit(ctx.Key(), out)
		ctx.Delete()
	}
	return nil
}

func (w *clockWindow) emit(bidder int64, out *stream.Out[BidderCount]) {
	if w.Bids > 0 {
		start := time.Unix(0, w.Start).UTC()
		out.Emit(BidderCount{bidder, w.Bids, start, start.Add(countPeriod)})
		w.Bids = 0
	}
}
