// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/weir-stream/weir/stream"
)

// ChannelBid is a bid with the id of its channel.
type ChannelBid struct {
	Auction, Bidder, Price int64
	Channel, ChannelID     string
}

// q21 gives each bid the id of its channel, and drops those without. Its output is appended to.
//
//	SELECT auction, bidder, price, channel, CASE lower(channel) WHEN 'apple' THEN '0' ...
//	  ELSE REGEXP_EXTRACT(url, '(&|^)channel_id=([^&]*)', 2) END AS channel_id FROM bid WHERE channel_id IS NOT NULL
func q21(events stream.Stream[Event]) stream.Stream[ChannelBid] {
	return events.FlatMap(func(e *Event, out *stream.Out[ChannelBid]) {
		if e.Kind != KindBid {
			return
		}
		b := &e.Bid
		if id, ok := channelID(b.Channel, b.URL); ok {
			o := out.Next()
			o.Auction, o.Bidder, o.Price, o.Channel, o.ChannelID = b.Auction, b.Bidder, b.Price, b.Channel, id
		}
	})
}

func channelID(channel, url string) (string, bool) {
	switch {
	case strings.EqualFold(channel, "apple"):
		return "0", true
	case strings.EqualFold(channel, "google"):
		return "1", true
	case strings.EqualFold(channel, "facebook"):
		return "2", true
	case strings.EqualFold(channel, "baidu"):
		return "3", true
	}
	id, ok := strings.CutPrefix(url, "channel_id=")
	if !ok {
		_, id, ok = strings.Cut(url, "&channel_id=")
	}
	id, _, _ = strings.Cut(id, "&")
	return id, ok
}
