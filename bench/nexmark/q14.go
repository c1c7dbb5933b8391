// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"time"

	"github.com/weir-stream/weir/stream"
)

// TimedOffer is a bid in euros with the time of day and the number of letters c.
type TimedOffer struct {
	EuroOffer
	TimeType string
	Cs       int64
}

// Prices in euros that q14 looks at are between these, in the unit of EuroOffer.
const (
	priceFloor   = 1_000_000 * 1000
	priceCeiling = 50_000_000 * 1000
)

// q14 computes on the bids within a range of prices. Its output is appended to.
//
//	SELECT auction, bidder, 0.908 * price, bidTimeType of HOUR(dateTime), dateTime, extra, count_char(extra, 'c')
//	FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000
func q14(events stream.Stream[Event]) stream.Stream[TimedOffer] {
	return events.FlatMap(func(e *Event, out *stream.Out[TimedOffer]) {
		b := &e.Bid
		price := b.Price * euroMills
		if e.Kind != KindBid || price <= priceFloor || price >= priceCeiling {
			return
		}
		out.Emit(TimedOffer{
			EuroOffer: EuroOffer{b.Auction, b.Bidder, price, b.At, b.Extra},
			TimeType:  timeType(b.At), Cs: int64(strings.Count(b.Extra, "c")),
		})
	})
}

func timeType(at Millis) string {
	switch hour := int64(at) / time.Hour.Milliseconds() % 24; {
	case hour >= 8 && hour <= 18:
		return "dayTime"
	case hour <= 6 || hour >= 20:
		return "nightTime"
	default:
		return "otherTime"
	}
}
