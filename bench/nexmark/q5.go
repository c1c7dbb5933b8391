// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"time"

	"github.com/weir-stream/weir/aggregate"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/window"
)

// HotItem is an auction and its bids in a window.
type HotItem struct{ Auction, Bids int64 }

const (
	hotItemsSize  = 10 * time.Second
	hotItemsSlide = 2 * time.Second
)

// q5 finds the auctions with most bids in the last ten seconds, every two. Its output is appended to.
//
//	SELECT auction, num FROM (bids counted BY auction IN HOP(2 s, 10 s)) WHERE num is the most of its window
//
// Counts carry the last moment of their window, so those of one window, and no others, meet in one slide.
func q5(events stream.Stream[Event]) stream.Stream[HotItem] {
	return events.
		FlatMap(func(e *Event, out *stream.Out[int64]) {
			if e.Kind == KindBid {
				out.Emit(e.Bid.Auction)
			}
		}).
		KeyBy(func(auction *int64) int64 { return *auction }).
		Window(window.Sliding(hotItemsSize, hotItemsSlide)).
		AggregateProcess("counts", aggregate.Count[int64](),
			func(ctx *stream.WindowCtx[int64], n *int64, out *stream.Out[HotItem]) error {
				out.Emit(HotItem{ctx.Key(), *n})
				return nil
			}).
		WindowAll(window.Tumbling(hotItemsSlide)).
		AggregateProcess("hottest", aggregate.Of((*hottest).add, (*hottest).merge, (*hottest).result),
			func(_ *stream.WindowCtx[stream.None], h *hottest, out *stream.Out[HotItem]) error {
				for _, auction := range h.Auctions {
					out.Emit(HotItem{auction, h.Bids})
				}
				return nil
			})
}

// hottest is the auctions with most bids.
type hottest struct {
	Bids     int64
	Auctions []int64
}

func (h *hottest) add(in *HotItem) {
	if in.Bids > h.Bids {
		h.Bids, h.Auctions = in.Bids, h.Auctions[:0]
	}
	if in.Bids == h.Bids {
		h.Auctions = append(h.Auctions, in.Auction)
	}
}

func (h *hottest) merge(from *hottest) {
	switch {
	case from.Bids > h.Bids:
		h.Bids, h.Auctions = from.Bids, slices.Clone(from.Auctions)
	case from.Bids == h.Bids:
		h.Auctions = append(h.Auctions, from.Auctions...)
	}
}

func (h *hottest) result() hottest { return *h }
