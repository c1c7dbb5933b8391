// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/connectortest"
)

func newGenerator(tb testing.TB, c Config) *Generator {
	tb.Helper()
	g, err := NewGenerator(c)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// all makes all events.
func (g *Generator) all() []Event {
	events := make([]Event, g.Events)
	g.Fill(0, events)
	return events
}

// mean is the mean of what is added to it.
type mean struct{ n, sum float64 }

func (m *mean) add(v float64) { m.n++; m.sum += v }

func (m *mean) hit(is bool) {
	m.n++
	if is {
		m.sum++
	}
}

// near checks a mean against what is published, within a tolerance of five standard errors or so of the sample.
func (m *mean) near(t *testing.T, what string, want, tolerance float64) {
	t.Helper()
	if got := m.sum / m.n; math.Abs(got-want) > tolerance {
		t.Errorf("%s: %.4f in the mean of %.0f, want %.4f", what, got, m.n, want)
	}
}

// TestDistributions compares what is generated with the rules of the benchmark.
func TestDistributions(t *testing.T) {
	const n = 300_000
	g := newGenerator(t, Config{Events: n, Seed: 7})
	var e Event
	var bid, auction, person tested
	for i := range int64(n) {
		g.Event(i, &e)
		if want := Millis(g.base + i/100).nanos(); e.time() != want {
			t.Fatalf("event %d is at %d, want %d", i, e.time(), want)
		}
		turn, place := i/50, i%50
		switch {
		case place == 0 && e.Kind == KindPerson:
			person.person(t, &e.Person, turn)
		case place >= 1 && place < 4 && e.Kind == KindAuction:
			auction.auction(t, &e.Auction, turn, place)
		case place >= 4 && e.Kind == KindBid:
			bid.bid(t, &e.Bid, turn)
		default:
			t.Fatalf("event %d is of kind %d", i, e.Kind)
		}
	}
	// A bid for any of 111 auctions, or by any of 1010 people, may be one of the hot ones too.
	bid.hot.near(t, "bids for the hot auction", 0.5+0.5/111, 0.006)
	bid.hotBy.near(t, "bids by the hot bidder", 0.75, 0.006)
	bid.size.near(t, "bytes of a bid", 100, 0.5)
	bid.decade.near(t, "decades of the price", 3, 0.02)
	bid.square.near(t, "squared decades of the price", 12, 0.12)
	bid.channel.near(t, "bids of hot channels", 0.5, 0.006)
	bid.channelID.near(t, "bids of other channels with their id", 0.9, 0.02)
	auction.hotBy.near(t, "auctions of the hot seller", 0.75, 0.02)
	auction.size.near(t, "bytes of an auction", 500, 3)
	auction.decade.near(t, "decades of the initial bid", 3, 0.08)
	auction.text.near(t, "letters of an item name", 11, 0.4)
	auction.long.near(t, "letters of a description", 51, 1.5)
	auction.open.near(t, "milliseconds of an auction", 17, 0.6)
	auction.channel.near(t, "auctions of the first category", 0.2, 0.02)
	person.size.near(t, "bytes of a person", 200, 2.5)
	person.channel.near(t, "people in three states of six", 0.5, 0.04)
}

// tested is what is known of one kind of event.
type tested struct {
	hot, hotBy, size, decade, square, channel, channelID, text, long, open mean
}

func (s *tested) price(cents int64) {
	d := math.Log10(float64(cents) / 100)
	s.decade.add(d)
	s.square.add(d * d)
}

func (s *tested) bid(t *testing.T, b *Bid, turn int64) {
	t.Helper()
	last := 3*turn + 2
	if a := b.Auction - 1000; a != last/100*100 && (a < max(0, last-100) || a > last+10) {
		t.Fatalf("bid for auction %d when the last is %d", a, last)
	}
	if p := b.Bidder - 1000; p != turn/100*100+1 && (p < max(0, turn-999) || p > turn+10) {
		t.Fatalf("bid by %d when the last is %d", p, turn)
	}
	if b.Price < 100 || b.Price > 100_000_000 {
		t.Fatalf("a price of %d cents", b.Price)
	}
	if turn >= 1000 { // from here on all have their numbers
		s.hot.hit(b.Auction-1000 == last/100*100)
		s.hotBy.hit(b.Bidder-1000 == turn/100*100+1)
	}
	s.price(b.Price)
	s.size.add(float64(4*8 + len(b.Extra)))
	hot := slices.Contains([]string{"Google", "Facebook", "Baidu", "Apple"}, b.Channel)
	s.channel.hit(hot)
	if !hot {
		s.channelID.hit(strings.Contains(b.URL, "&channel_id="))
	}
	if strings.Count(b.URL, "/") != 6 || !strings.HasPrefix(b.URL, "https://www.nexmark.com/") {
		t.Fatalf("URL %q", b.URL)
	}
}

func (s *tested) auction(t *testing.T, a *Auction, turn, place int64) {
	t.Helper()
	if a.ID != 1000+3*turn+place-1 || a.Category < 10 || a.Category > 14 || a.Reserve < a.InitialBid+100 || a.Expires <= a.At {
		t.Fatalf("auction %d of epoch %d: %+v", place, turn, a)
	}
	s.hotBy.hit(a.Seller-1000 == turn/100*100)
	s.price(a.InitialBid)
	s.size.add(float64(6*8 + len(a.Name) + len(a.Description) + len(a.Extra)))
	s.text.add(float64(len(a.Name)))
	s.long.add(float64(len(a.Description)))
	s.open.add(float64(a.Expires - a.At))
	s.channel.hit(a.Category == 10)
}

func (s *tested) person(t *testing.T, p *Person, turn int64) {
	t.Helper()
	var groups [4]int
	if n, err := fmt.Sscanf(p.CreditCard, "%04d %04d %04d %04d", &groups[0], &groups[1], &groups[2], &groups[3]); n != 4 {
		t.Fatalf("card %q: %v", p.CreditCard, err)
	}
	if p.ID != 1000+turn || !strings.Contains(p.Email, "@") || !strings.Contains(p.Name, " ") {
		t.Fatalf("person of epoch %d: %+v", turn, p)
	}
	s.size.add(float64(8 + len(p.Name) + len(p.Email) + len(p.CreditCard) + len(p.City) + len(p.State) + len(p.Extra)))
	s.channel.hit(slices.Contains([]string{"OR", "ID", "CA"}, p.State))
}

// TestShuffled finds each event once, near its place, and none in another form than without a shuffle.
func TestShuffled(t *testing.T) {
	in := newGenerator(t, Config{Events: 1000, EventsPerSecond: 1000}).all()
	out := newGenerator(t, Config{Events: 1000, EventsPerSecond: 1000, OutOfOrder: 100}).all()
	if slices.Equal(in, out) {
		t.Error("nothing is out of order")
	}
	for from := 0; from < 1000; from += 100 {
		group := slices.Clone(out[from : from+100])
		slices.SortFunc(group, func(a, b Event) int { return cmp.Compare(a.time(), b.time()) })
		if !slices.Equal(group, in[from:from+100]) {
			t.Fatalf("events from %d on are others", from)
		}
	}
}

func TestSeeds(t *testing.T) {
	c := Config{Events: 200, Seed: 1}
	one, again := newGenerator(t, c).all(), newGenerator(t, c).all()
	c.Seed = 2
	if other := newGenerator(t, c).all(); !slices.Equal(one, again) || slices.Equal(one, other) {
		t.Error("events must follow from the seed")
	}
}

func TestPrices(t *testing.T) {
	table := newPriceTable()
	for i := range 1000 {
		word := mix(uint64(i))
		want := math.Round(100 * math.Pow(10, 6*float64(word>>11)/(1<<53)))
		if got := table.price(word); math.Abs(float64(got)-want) > 1 {
			t.Fatalf("price of %#x is %d, want %.0f", word, got, want)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []Config{
		{Events: -1},
		{EventsPerSecond: -1},
		{EventsPerSecond: int64(2 * time.Second)},
		{OutOfOrder: -1},
		{EventsPerSecond: 10, OutOfOrder: 41},
		{OutOfOrder: 953},
	} {
		if _, err := NewGenerator(c); err == nil {
			t.Errorf("%+v passes", c)
		}
	}
}

func TestSource(t *testing.T) {
	for _, n := range []int64{0, 30, 1500} {
		g := newGenerator(t, Config{Events: n})
		connectortest.Source(t, connectortest.SourceConfig[Event, Lane, Undealt]{
			New:  func(*testing.T) connector.Source[Event, Lane, Undealt] { return Source{Generator: g} },
			Want: g.all(),
			Key: func(e *Event) string {
				return fmt.Sprint(e.Kind, e.Person.ID, e.Auction.ID, e.Bid.Price, e.Bid.Bidder, e.Bid.At, e.Bid.Extra)
			},
		})
	}
}

func BenchmarkGenerator(b *testing.B) {
	g := newGenerator(b, Config{Events: math.MaxInt64})
	events := make([]Event, block)
	i := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		g.Fill(i, events)
		i += block
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(i), "ns/event")
}
