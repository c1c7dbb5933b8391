// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Proportions and ids of the benchmark. Fifty events are an epoch: a person, three auctions, then the bids.
const (
	persons        = 1
	auctions       = 3
	bids           = 46
	epoch          = persons + auctions + bids
	firstPerson    = 1000
	firstAuction   = 1000
	firstCategory  = 10
	categories     = 5
	hotAuctionOne  = 2 // one bid in two is not for the hot auction
	hotBidderOne   = 4 // one bid in four is not by the hot bidder
	hotSellerOne   = 4 // one auction in four is not by the hot seller
	hotChannelOne  = 2 // one bid in two does not come from a hot channel
	hotBatch       = 100
	auctionsOpen   = 100
	auctionsLead   = 10
	personsActive  = 1000
	personsLead    = 10
	personBytes    = 200
	auctionBytes   = 500
	bidBytes       = 100
	shuffleFactor  = 953
	nameLimit      = 20
	describeLimit  = 100
	watermarkDelay = 4 * time.Second
)

// Config says which events there are. Zero fields have the values given.
type Config struct {
	// Events is how many there are.
	Events int64
	// EventsPerSecond is how many there are in a second of event time: 100,000.
	EventsPerSecond int64
	// Seed picks one of as many sequences.
	Seed uint64
	// OutOfOrder is the number of events in a row that are shuffled: 1, which leaves all in order.
	OutOfOrder int64
	// Base is the time of the first event: the middle of July 2015, as the benchmark has it.
	Base time.Time
}

func (c Config) withDefaults() Config {
	c.EventsPerSecond = cmp.Or(c.EventsPerSecond, 100_000)
	c.OutOfOrder = cmp.Or(c.OutOfOrder, 1)
	if c.Base.IsZero() {
		c.Base = time.Date(2015, time.July, 15, 0, 0, 0, 0, time.UTC)
	}
	return c
}

func (c Config) validate() error {
	switch limit := int64(watermarkDelay/time.Second) * c.EventsPerSecond; {
	case c.Events < 0:
		return errors.New("the number of events is negative")
	case c.EventsPerSecond < 1 || c.EventsPerSecond > int64(time.Second):
		return fmt.Errorf("%d events a second of event time: want 1 to %d", c.EventsPerSecond, int64(time.Second))
	case c.OutOfOrder < 1 || c.OutOfOrder > limit || c.OutOfOrder%shuffleFactor == 0:
		return fmt.Errorf("%d events are shuffled at a time: want 1 to %d, for watermarks are %v behind, and no multiple of %d",
			c.OutOfOrder, limit, watermarkDelay, shuffleFactor)
	}
	return nil
}

// Generator makes any event from its number. It does not change and serves all goroutines.
type Generator struct {
	Config
	base, interval int64 // of event time: milliseconds, and nanoseconds between two events
	prices         *priceTable
	*vocabulary
}

// NewGenerator makes a generator with its vocabulary.
func NewGenerator(c Config) (*Generator, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	return &Generator{
		Config: c, base: c.Base.UnixMilli(), interval: int64(time.Second) / c.EventsPerSecond,
		prices: newPriceTable(), vocabulary: newVocabulary(c.Seed),
	}, nil
}

// Fill makes the events from the i-th on.
func (g *Generator) Fill(i int64, out []Event) {
	for row := range out {
		g.Event(i+int64(row), &out[row])
	}
}

// Event makes the i-th event, all of whose fields it sets.
func (g *Generator) Event(i int64, out *Event) {
	n := g.shuffled(i)
	r := randomOf(g.Seed, n)
	at := g.timeOf(n)
	turn, place := n/epoch, n%epoch
	*out = Event{}
	switch {
	case place >= persons+auctions:
		out.Kind = KindBid
		g.bid(&out.Bid, &r, turn, at)
	case place >= persons:
		out.Kind = KindAuction
		g.auction(&out.Auction, &r, turn, place-persons, n, at)
	default:
		out.Kind = KindPerson
		g.person(&out.Person, &r, turn, at)
	}
}

// shuffled is the number of the event at the i-th place of the sequence.
func (g *Generator) shuffled(i int64) int64 {
	if g.OutOfOrder == 1 {
		return i
	}
	return i - i%g.OutOfOrder + i*shuffleFactor%g.OutOfOrder
}

// timeOf is the time of the n-th event.
func (g *Generator) timeOf(n int64) Millis {
	return Millis(g.base + n*g.interval/int64(time.Millisecond))
}

func (g *Generator) bid(b *Bid, r *random, turn int64, at Millis) {
	which, who := dice(r.word()), dice(r.word())
	last := turn*auctions + auctions - 1
	if which.draw(hotAuctionOne) > 0 {
		b.Auction = firstAuction + last/hotBatch*hotBatch
	} else {
		first := max(last-auctionsOpen, 0)
		b.Auction = firstAuction + first + who.draw(last-first+1+auctionsLead)
	}
	if which.draw(hotBidderOne) > 0 {
		b.Bidder = firstPerson + turn/hotBatch*hotBatch + 1
	} else {
		b.Bidder = firstPerson + activePerson(&who, turn)
	}
	b.Price = g.prices.price(r.word())
	var from *channel
	if which.draw(hotChannelOne) > 0 {
		from = &g.hot[which.draw(int64(len(g.hot)))]
	} else {
		from = &g.channels[which.draw(channelCount)]
	}
	b.Channel, b.URL = from.name, from.url
	b.At = at
	b.Extra = g.extra(&which, 4*8, bidBytes)
}

// activePerson picks one of the last people, or one who is about to register.
func activePerson(d *dice, turn int64) int64 {
	people := turn + 1
	active := min(people, personsActive)
	return people - active + d.draw(active+personsLead)
}

func (g *Generator) auction(a *Auction, r *random, turn, place, n int64, at Millis) {
	which, who, texts := dice(r.word()), dice(r.word()), dice(r.word())
	a.ID = firstAuction + turn*auctions + place
	if which.draw(hotSellerOne) > 0 {
		a.Seller = firstPerson + turn/hotBatch*hotBatch
	} else {
		a.Seller = firstPerson + activePerson(&who, turn)
	}
	a.Category = firstCategory + which.draw(categories)
	a.InitialBid = g.prices.price(r.word())
	a.Reserve = a.InitialBid + g.prices.price(r.word())
	a.At = at
	// Half of the auctions are over when auctionsOpen more have been opened.
	horizon := int64(g.timeOf(n+auctionsOpen*epoch/auctions) - at)
	a.Expires = at + 1 + Millis(which.draw(max(2*horizon, 1)))
	a.Name = g.phrase(&texts, nameLimit)
	a.Description = g.phrase(&texts, describeLimit)
	a.Extra = g.extra(&who, int64(6*8+len(a.Name)+len(a.Description)), auctionBytes)
}

func (g *Generator) person(p *Person, r *random, turn int64, at Millis) {
	which, texts := dice(r.word()), dice(r.word())
	p.ID = firstPerson + turn
	p.Name = g.names[which.draw(int64(len(g.names)))]
	p.Email = g.emails[which.draw(emailCount)]
	card := int64(cardLen+1) / 4 * texts.draw(cardGroups-4)
	p.CreditCard = g.cards[card : card+int64(cardLen)]
	p.City = g.cities[which.draw(int64(len(g.cities)))]
	p.State = g.states[which.draw(int64(len(g.states)))]
	p.At = at
	size := 8 + len(p.Name) + len(p.Email) + len(p.CreditCard) + len(p.City) + len(p.State)
	p.Extra = g.extra(&texts, int64(size), personBytes)
}
