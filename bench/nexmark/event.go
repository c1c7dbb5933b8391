// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/weir-stream/weir/watermark"
)

// Kind tells which of the three an Event is.
type Kind uint8

// The kinds of events, by the numbers that the benchmark gives them.
const (
	KindPerson Kind = iota
	KindAuction
	KindBid
)

// Event is a person who registers, an auction that opens, or a bid on one: Kind says which field is set. The bid stands
// first, beside Kind, because nearly all events are bids.
type Event struct {
	Kind    Kind
	Bid     Bid
	Auction Auction
	Person  Person
}

// Bid is an offer of Bidder for Auction.
type Bid struct {
	Auction, Bidder int64
	// Price is in cents.
	Price        int64
	At           Millis
	Channel, URL string
	Extra        string
}

// Auction is an item that Seller offers until Expires.
type Auction struct {
	ID, Seller, Category int64
	InitialBid, Reserve  int64
	At, Expires          Millis
	Name, Description    string
	Extra                string
}

// Person sells and bids.
type Person struct {
	ID          int64
	At          Millis
	Name, Email string
	CreditCard  string
	City, State string
	Extra       string
}

// Millis is an instant, in Unix milliseconds: the resolution of the benchmark.
type Millis int64

// Time is the instant as a time of UTC.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

func (m Millis) nanos() watermark.UnixNano {
	return watermark.UnixNano(m) * watermark.UnixNano(time.Millisecond)
}

// Day is the number of the day of UTC, from the epoch on.
func (m Millis) Day() int32 { return int32(m / Millis(24*time.Hour/time.Millisecond)) }

// time is the event time.
func (e *Event) time() watermark.UnixNano {
	switch e.Kind {
	case KindPerson:
		return e.Person.At.nanos()
	case KindAuction:
		return e.Auction.At.nanos()
	default:
		return e.Bid.At.nanos()
	}
}
