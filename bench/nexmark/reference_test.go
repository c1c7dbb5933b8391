// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The references say what a query means, over all events at once: plain loops, nearly all over all there is. They
// share nothing with the queries but the types of rows.

func bidsIn(events []Event) (all []Bid) {
	for _, e := range events {
		if e.Kind == KindBid {
			all = append(all, e.Bid)
		}
	}
	return all
}

func auctionsIn(events []Event) (all []Auction) {
	for _, e := range events {
		if e.Kind == KindAuction {
			all = append(all, e.Auction)
		}
	}
	return all
}

func peopleIn(events []Event) (all []Person) {
	for _, e := range events {
		if e.Kind == KindPerson {
			all = append(all, e.Person)
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

func wantQ3(events []Event) (want []LocalItem) {
	people := peopleIn(events)
	for _, a := range auctionsIn(events) {
		for _, p := range people {
			if a.Seller == p.ID && a.Category == 10 && slices.Contains([]string{"OR", "ID", "CA"}, p.State) {
				want = append(want, LocalItem{Name: p.Name, City: p.City, State: p.State, Auction: a.ID})
			}
		}
	}
	return want
}

// inTime are the bids for an auction while it is open.
func inTime(a *Auction, bids []Bid) (all []Bid) {
	for _, b := range bids {
		if b.Auction == a.ID && b.At >= a.At && b.At <= a.Expires {
			all = append(all, b)
		}
	}
	return all
}

func wantQ4(events []Event) (want []CategoryPrice) {
	finals := map[int64][]int64{}
	bids := bidsIn(events)
	for _, a := range auctionsIn(events) {
		if in := inTime(&a, bids); len(in) > 0 {
			best := slices.MaxFunc(in, func(x, y Bid) int { return cmp.Compare(x.Price, y.Price) })
			finals[a.Category] = append(finals[a.Category], best.Price)
		}
	}
	for category, prices := range finals {
		sum := int64(0)
		for _, p := range prices {
			sum += p
		}
		want = append(want, CategoryPrice{Category: category, Price: sum / int64(len(prices))})
	}
	return want
}

func wantQ6(events []Event) (want []SellerPrice) {
	bids := bidsIn(events)
	prices := map[int64][]int64{}
	auctions := auctionsIn(events)
	slices.SortFunc(auctions, func(x, y Auction) int { return cmp.Or(cmp.Compare(x.Expires, y.Expires), cmp.Compare(x.ID, y.ID)) })
	for _, a := range auctions {
		in := inTime(&a, bids)
		if len(in) == 0 {
			continue
		}
		best := slices.MaxFunc(in, func(x, y Bid) int { return cmp.Compare(x.Price, y.Price) })
		all := append(prices[a.Seller], best.Price)
		prices[a.Seller] = all
		sum, last := int64(0), all[max(0, len(all)-10):]
		for _, p := range last {
			sum += p
		}
		want = append(want, SellerPrice{Seller: a.Seller, Price: sum / int64(len(last))})
	}
	return want
}

// windowsOf groups bids by the windows that they are in.
func windowsOf(bids []Bid, size, slide time.Duration) map[int64][]Bid {
	windows := map[int64][]Bid{}
	for _, b := range bids {
		last := int64(b.At) / slide.Milliseconds() * slide.Milliseconds()
		for start := last; start > int64(b.At)-size.Milliseconds(); start -= slide.Milliseconds() {
			windows[start] = append(windows[start], b)
		}
	}
	return windows
}

func wantQ5(events []Event) (want []HotItem) {
	for _, in := range windowsOf(bidsIn(events), 10*time.Second, 2*time.Second) {
		counts, most := map[int64]int64{}, int64(0)
		for _, b := range in {
			counts[b.Auction]++
			most = max(most, counts[b.Auction])
		}
		for auction, n := range counts {
			if n == most {
				want = append(want, HotItem{Auction: auction, Bids: n})
			}
		}
	}
	return want
}

func wantQ7(events []Event) (want []Offer) {
	for _, in := range windowsOf(bidsIn(events), 10*time.Second, 10*time.Second) {
		best := slices.MaxFunc(in, func(x, y Bid) int { return cmp.Compare(x.Price, y.Price) })
		for _, b := range in {
			if b.Price == best.Price {
				want = append(want, Offer{Auction: b.Auction, Bidder: b.Bidder, Price: b.Price, At: b.At, Extra: b.Extra})
			}
		}
	}
	return want
}

func wantQ8(events []Event) (want []NewSeller) {
	auctions := auctionsIn(events)
	for _, p := range peopleIn(events) {
		start := p.At.Time().Truncate(10 * time.Second)
		if slices.ContainsFunc(auctions, func(a Auction) bool {
			return a.Seller == p.ID && a.At.Time().Truncate(10*time.Second).Equal(start)
		}) {
			want = append(want, NewSeller{ID: p.ID, Name: p.Name, Start: start})
		}
	}
	return want
}

func wantQ9(events []Event) (want []WinningBid) {
	bids := bidsIn(events)
	for _, a := range auctionsIn(events) {
		in := inTime(&a, bids)
		if len(in) == 0 {
			continue
		}
		b := slices.MaxFunc(in, func(x, y Bid) int { return cmp.Or(cmp.Compare(x.Price, y.Price), cmp.Compare(y.At, x.At)) })
		want = append(want, WinningBid{a, Offer{Auction: b.Auction, Bidder: b.Bidder, Price: b.Price, At: b.At, Extra: b.Extra}})
	}
	return want
}

func wantQ11(events []Event) (want []BidderCount) {
	for bidder, in := range grouped(events, func(b *Bid) int64 { return b.Bidder }) {
		slices.SortFunc(in, func(x, y Bid) int { return cmp.Compare(x.At, y.At) })
		for len(in) > 0 {
			n := 1
			for n < len(in) && in[n].At.Time().Sub(in[n-1].At.Time()) <= 10*time.Second {
				n++
			}
			want = append(want, BidderCount{
				Bidder: bidder, Bids: int64(n), Start: in[0].At.Time(), End: in[n-1].At.Time().Add(10 * time.Second),
			})
			in = in[n:]
		}
	}
	return want
}

func wantQ13(events []Event) (want []EnrichedBid) {
	for _, b := range bidsIn(events) {
		value := fmt.Sprintf("side-%d", b.Auction%10_000*7%10_000)
		want = append(want, EnrichedBid{Auction: b.Auction, Bidder: b.Bidder, Price: b.Price, At: b.At, Value: value})
	}
	return want
}

func wantQ14(events []Event) (want []TimedOffer) {
	for _, b := range bidsIn(events) {
		if euros := 0.908 * float64(b.Price); euros <= 1e6 || euros >= 5e7 {
			continue
		}
		cs := int64(len(b.Extra) - len(strings.ReplaceAll(b.Extra, "c", "")))
		row := TimedOffer{EuroOffer{b.Auction, b.Bidder, 908 * b.Price, b.At, b.Extra}, "nightTime", cs}
		want = append(want, row)
	}
	return want
}

// distinct counts what of tells apart.
func distinct(bids []Bid, of func(*Bid) int64) int64 {
	found := map[int64]bool{}
	for i := range bids {
		found[of(&bids[i])] = true
	}
	return int64(len(found))
}

func statisticsOf(bids []Bid) (s Statistics) {
	for rank := range 4 {
		var in []Bid
		for _, b := range bids {
			switch {
			case rank == 0, rank == 1 && b.Price < 10_000, rank == 2 && b.Price >= 10_000 && b.Price < 1_000_000,
				rank == 3 && b.Price >= 1_000_000:
				in = append(in, b)
			}
		}
		s.Bids[rank] = int64(len(in))
		s.Bidders[rank] = distinct(in, func(b *Bid) int64 { return b.Bidder })
		s.Auctions[rank] = distinct(in, func(b *Bid) int64 { return b.Auction })
	}
	return s
}

// grouped collects bids by key.
func grouped[K comparable](events []Event, key func(*Bid) K) map[K][]Bid {
	groups := map[K][]Bid{}
	for _, b := range bidsIn(events) {
		groups[key(&b)] = append(groups[key(&b)], b)
	}
	return groups
}

func dayNumber(b *Bid) int32 { return int32(b.At.Time().Unix() / (24 * 60 * 60)) }

func wantQ15(events []Event) (want []DayStatistics) {
	for day, in := range grouped(events, dayNumber) {
		want = append(want, DayStatistics{day, statisticsOf(in)})
	}
	return want
}

func wantQ16(events []Event) (want []ChannelStatistics) {
	for key, in := range grouped(events, func(b *Bid) channelDay { return channelDay{b.Channel, dayNumber(b)} }) {
		row := ChannelStatistics{Channel: key.Channel, Day: key.Day, Statistics: statisticsOf(in)}
		for _, b := range in {
			row.Minute = max(row.Minute, int32(b.At.Time().Hour()*60+b.At.Time().Minute()))
		}
		want = append(want, row)
	}
	return want
}

func wantQ17(events []Event) (want []AuctionStatistics) {
	for key, in := range grouped(events, func(b *Bid) dayOf { return dayOf{b.Auction, dayNumber(b)} }) {
		row := AuctionStatistics{Auction: key.ID, Day: key.Day, Bids: statisticsOf(in).Bids}
		var prices []int64
		for _, b := range in {
			prices = append(prices, b.Price)
			row.Sum += b.Price
		}
		row.Min, row.Max, row.Avg = slices.Min(prices), slices.Max(prices), row.Sum/int64(len(prices))
		want = append(want, row)
	}
	return want
}

func wantQ18(events []Event) (want []Bid) {
	for _, in := range grouped(events, func(b *Bid) pair { return pair{b.Bidder, b.Auction} }) {
		want = append(want, slices.MaxFunc(in, func(x, y Bid) int { return cmp.Compare(x.At, y.At) }))
	}
	return want
}

func wantQ19(events []Event) (want []RankedBid) {
	for _, in := range grouped(events, func(b *Bid) int64 { return b.Auction }) {
		slices.SortFunc(in, func(x, y Bid) int { return cmp.Or(cmp.Compare(y.Price, x.Price), cmp.Compare(x.At, y.At)) })
		for i, b := range in[:min(10, len(in))] {
			want = append(want, RankedBid{b, int64(i + 1)})
		}
	}
	return want
}

func wantQ20(events []Event) (want []AuctionBid) {
	auctions := auctionsIn(events)
	for _, b := range bidsIn(events) {
		for _, a := range auctions {
			if a.ID == b.Auction && a.Category == 10 {
				want = append(want, AuctionBid{b, a})
			}
		}
	}
	return want
}

func wantQ21(events []Event) (want []ChannelBid) {
	id := regexp.MustCompile(`(&|^)channel_id=([^&]*)`)
	hot := map[string]string{"apple": "0", "google": "1", "facebook": "2", "baidu": "3"}
	for _, b := range bidsIn(events) {
		row := ChannelBid{Auction: b.Auction, Bidder: b.Bidder, Price: b.Price, Channel: b.Channel}
		found := id.FindStringSubmatch(b.URL)
		if n, ok := hot[strings.ToLower(b.Channel)]; ok {
			row.ChannelID = n
		} else if found != nil {
			row.ChannelID = found[2]
		} else {
			continue
		}
		want = append(want, row)
	}
	return want
}

func wantQ22(events []Event) (want []DirBid) {
	for _, b := range bidsIn(events) {
		parts := strings.Split(b.URL, "/")
		row := DirBid{b.Auction, b.Bidder, b.Price, b.Channel, parts[3], parts[4], parts[5]}
		want = append(want, row)
	}
	return want
}

func wantQ23(events []Event) (want []SellingBidder) {
	auctions := auctionsIn(events)
	made := grouped(events, func(b *Bid) int64 { return b.Bidder })
	for _, p := range peopleIn(events) {
		for _, a := range auctions {
			if a.Seller != p.ID {
				continue
			}
			for _, b := range made[p.ID] {
				want = append(want, SellingBidder{b, p, a})
			}
		}
	}
	return want
}
