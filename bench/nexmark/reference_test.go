// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

// The references say what a query means, over all events at once: plain loops. They share
// nothing with the queries but the types of rows.

func bidsIn(events []Event) (all []Bid) {
	for _, e := range events {
		if e.Kind == KindBid {
			all = append(all, e.Bid)
		}
	}
	return all
}

func wantQ0(events []Event) (want []Offer) {
	for _, b := range bidsIn(events) {
		want = append(want, Offer{Auction: b.Auction, Bidder: b.Bidder, Price: b.Price, At: b.At, Extra: b.Extra})
	}
	return want
}

func wantQ1(events []Event) (want []EuroOffer) {
	for _, b := range bidsIn(events) {
		want = append(want, EuroOffer{Auction: b.Auction, Bidder: b.Bidder, Price: 908 * b.Price, At: b.At, Extra: b.Extra})
	}
	return want
}

func wantQ2(events []Event) (want []AuctionPrice) {
	for _, b := range bidsIn(events) {
		if b.Auction%123 == 0 {
			want = append(want, AuctionPrice{Auction: b.Auction, Price: b.Price})
		}
	}
	return want
}
