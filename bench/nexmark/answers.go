// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector/collect"
	"github.com/weir-stream/weir/stream"
)

// answers say what a query computes, here and on Flink, and what of it must be equal: all of it, but for what is said.
type answers struct {
	// ours runs the job.
	ours func(ctx context.Context, g *Generator, s settings) (view, error)
	// theirs reads what Flink wrote into a directory.
	theirs func(dir string) (view, error)
	// tie is what the query leaves open; nil for nothing.
	tie *tie
	// skip tells rows that only one side has by design; nil for none.
	skip func(fields []string) bool
	// holds is what must hold of each side where they can't be equal; nil where they are compared.
	holds func(g *Generator, v view) error
	// note says why not all can be equal.
	note string
}

// answersOf compares all rows of a query, or the last row of each key, which is in the columns given. The fields of a row are in
// the order of the query's SQL.
func answersOf[T any](q func(stream.Stream[Event]) stream.Stream[T], fields func(*T) []any, key ...int) answers {
	return answers{theirs: changelogIn, ours: func(ctx context.Context, g *Generator, s settings) (view, error) {
		rows := collect.New[string]()
		err := runJob(ctx, func(env *stream.Env) error {
			s.apply(env)
			q(eventsOf(env, Source{Generator: g})).
				FlatMap(func(row *T, out *stream.Out[string]) { out.Emit(textOf(fields(row)...)) }).
				To("out", rows.Sink())
			return nil
		})
		if key != nil {
			return latest(rows.Rows(), key), err
		}
		v := view{}
		for _, row := range rows.Rows() {
			v.add(row, 1)
		}
		return v, err
	}}
}

func runJob(ctx context.Context, build weir.Build) error {
	h, err := weir.Run(ctx, "answers", build, weir.Options{})
	if err != nil {
		return err
	}
	return h.Wait()
}

// allAnswers are those of the queries that Flink has, by name; "all" is the events themselves.
func allAnswers() map[string]answers {
	return map[string]answers{
		"all": {theirs: changelogIn, ours: func(_ context.Context, g *Generator, _ settings) (view, error) { return g.view(), nil }},
		"q0":  answersOf(q0, (*Offer).fields),
		"q1":  answersOf(q1, func(o *EuroOffer) []any { return []any{o.Auction, o.Bidder, o.Price, o.At, o.Extra} }),
		"q2":  answersOf(q2, func(p *AuctionPrice) []any { return []any{p.Auction, p.Price} }),
		"q3":  answersOf(q3, func(i *LocalItem) []any { return []any{i.Name, i.City, i.State, i.Auction} }),
		"q4":  answersOf(q4, func(c *CategoryPrice) []any { return []any{c.Category, c.Price} }, 0),
		"q5":  answersOf(q5, func(h *HotItem) []any { return []any{h.Auction, h.Bids} }),
		"q7": answersOf(q7, func(o *Offer) []any { return []any{o.Auction, o.Price, o.Bidder, o.At, o.Extra} }).
			without(atWindowEnd, "at the very end of a window, where the SQL looks for them in two"),
		"q8": answersOf(q8, func(s *NewSeller) []any { return []any{s.ID, s.Name, s.Start} }),
		"q9": answersOf(q9, func(w *WinningBid) []any {
			return append(append([]any{w.Auction.ID}, w.Auction.fields()...), w.Bid.Bidder, w.Bid.Price, w.Bid.At, w.Bid.Extra)
		}, 0).ties(tie{func(b *Bid) string { return textOf(b.Auction, b.Price, b.At) }, []int{0, 11, 12}, []int{10, 13}}),
		"q10": {
			ours:   ourLog,
			theirs: func(dir string) (view, error) { return logIn(filepath.Join(dir, "log"), "part-*", 0) },
		},
		"q11": answersOf(q11, (*BidderCount).fields),
		"q12": answersOf(q12, (*BidderCount).fields).
			byClock(countedOnce, "by the clock, so no two runs are equal: in each window once, of ten seconds, and no more than there are"),
		"q13": answersOf(q13, func(b *EnrichedBid) []any { return []any{b.Auction, b.Bidder, b.Price, b.At, b.Value} }),
		"q14": answersOf(q14, func(o *TimedOffer) []any {
			return []any{o.Auction, o.Bidder, o.Price, o.TimeType, o.At, o.Extra, o.Cs}
		}),
		"q15": answersOf(q15, func(s *DayStatistics) []any { return append([]any{dayText(s.Day)}, s.Statistics.fields()...) }, 0),
		"q16": answersOf(q16, func(s *ChannelStatistics) []any {
			minute := fmt.Sprintf("%02d:%02d", s.Minute/60, s.Minute%60)
			return append([]any{s.Channel, dayText(s.Day), minute}, s.Statistics.fields()...)
		}, 0, 1),
		"q17": answersOf(q17, func(s *AuctionStatistics) []any {
			return []any{s.Auction, dayText(s.Day), s.Bids[0], s.Bids[1], s.Bids[2], s.Bids[3], s.Min, s.Max, s.Avg, s.Sum}
		}, 0, 1),
		"q18": answersOf(q18, (*Bid).fields, 0, 1).
			ties(tie{func(b *Bid) string { return textOf(b.Auction, b.Bidder, b.At) }, []int{0, 1, 5}, []int{2, 3, 4, 6}}),
		"q19": answersOf(q19, func(b *RankedBid) []any { return append(b.Bid.fields(), b.Rank) }, 0, 7).
			ties(tie{func(b *Bid) string { return textOf(b.Auction, b.Price) }, []int{0, 2}, []int{1, 3, 4, 5, 6}}),
		"q20": answersOf(q20, func(b *AuctionBid) []any { return append(b.Bid.fields(), b.Auction.fields()...) }),
		"q21": answersOf(q21, func(b *ChannelBid) []any { return []any{b.Auction, b.Bidder, b.Price, b.Channel, b.ChannelID} }),
		"q22": answersOf(q22, func(b *DirBid) []any { return []any{b.Auction, b.Bidder, b.Price, b.Channel, b.Dir1, b.Dir2, b.Dir3} }),
		"q23": answersOf(q23, func(s *SellingBidder) []any {
			all := append(s.Bid.fields(), s.Person.fields()[1:]...)
			return append(append(all, s.Auction.ID), s.Auction.fields()...)
		}),
	}
}

// tie is that a query does not say which of several bids it wants.
type tie struct {
	// of is what such bids have in common, columns are those of a row with it.
	of      func(*Bid) string
	columns []int
	// open are the columns that may be of any of them.
	open []int
}

func (a answers) ties(t tie) answers {
	a.tie, a.note = &t, "of one of several bids that the SQL doesn't tell apart"
	return a
}

func (a answers) without(skip func([]string) bool, note string) answers {
	a.skip, a.note = skip, note
	return a
}

func (a answers) byClock(holds func(*Generator, view) error, note string) answers {
	a.holds, a.note = holds, note
	return a
}

// determined is the part of a view that must be equal on both sides, and how many rows of it are not there as they are.
func (a answers) determined(g *Generator, v view) (part view, open int) {
	if a.skip == nil && a.tie == nil {
		return v, 0
	}
	several := map[string]int{}
	if a.tie != nil {
		g.each(func(e *Event) {
			if e.Kind == KindBid {
				several[a.tie.of(&e.Bid)]++
			}
		})
	}
	part = view{}
	for row, times := range v {
		fields := strings.Split(row, "\t")
		if a.skip != nil && a.skip(fields) {
			open += times
			continue
		}
		if a.tie != nil && several[columns(fields, a.tie.columns)] > 1 {
			open += times
			for _, c := range a.tie.open {
				fields[c] = "?"
			}
		}
		part.add(strings.Join(fields, "\t"), times)
	}
	return part, open
}

// atWindowEnd tells rows of q7 whose bid came when a window ended.
func atWindowEnd(fields []string) bool {
	at, err := strconv.ParseInt(fields[3], 10, 64)
	return err == nil && at%highestPeriod.Milliseconds() == 0
}

// countedOnce checks q12: each window is as long as it should be and counts a bidder once, and all of them no more bids than she
// made.
func countedOnce(g *Generator, v view) error {
	made := map[string]int64{}
	g.each(func(e *Event) {
		if e.Kind == KindBid {
			made[textOf(e.Bid.Bidder)]++
		}
	})
	period := countPeriod.Milliseconds()
	seen := map[string]bool{}
	for row, times := range v {
		var bidder, n, start, end int64
		if _, err := fmt.Sscanf(row, "%d\t%d\t%d\t%d", &bidder, &n, &start, &end); err != nil {
			return fmt.Errorf("row %q: %w", row, err)
		}
		window := textOf(bidder, start)
		if times != 1 || seen[window] || n < 1 || start%period != 0 || end != start+period {
			return fmt.Errorf("%d times: %s", times, row)
		}
		seen[window] = true
		if made[textOf(bidder)] -= n; made[textOf(bidder)] < 0 {
			return fmt.Errorf("more bids are counted than bidder %d made", bidder)
		}
	}
	return nil
}

// ourLog runs q10 and reads its files.
func ourLog(ctx context.Context, g *Generator, s settings) (view, error) {
	if err := runJob(ctx, logQuery().job(g, s, new(counter))); err != nil {
		return nil, err
	}
	return logIn(filepath.Join(s.checkpointDir, "q10"), "*.csv", 1)
}

// each calls see with one event after the other.
func (g *Generator) each(see func(*Event)) {
	var e Event
	for i := range g.Events {
		g.Event(i, &e)
		see(&e)
	}
}

// view has all events, each with its kind and what fields there are of the three.
func (g *Generator) view() view {
	v := view{}
	g.each(func(e *Event) {
		person, auction, bid := []any{nil}, []any{nil}, []any{nil}
		switch e.Kind {
		case KindPerson:
			person = e.Person.fields()
		case KindAuction:
			auction = append([]any{e.Auction.ID}, e.Auction.fields()...)
		case KindBid:
			bid = e.Bid.fields()
		}
		v.add(textOf(slices.Concat([]any{e.Kind}, person, auction, bid)...), 1)
	})
	return v
}

// The fields of rows, in the order of the tables in SQL.

func (b *Bid) fields() []any {
	return []any{b.Auction, b.Bidder, b.Price, b.Channel, b.URL, b.At, b.Extra}
}

// fields are all but the number.
func (a *Auction) fields() []any {
	return []any{a.Name, a.Description, a.InitialBid, a.Reserve, a.At, a.Expires, a.Seller, a.Category, a.Extra}
}

func (p *Person) fields() []any {
	return []any{p.ID, p.Name, p.Email, p.CreditCard, p.City, p.State, p.At, p.Extra}
}

func (o *Offer) fields() []any { return []any{o.Auction, o.Bidder, o.Price, o.At, o.Extra} }

func (c *BidderCount) fields() []any { return []any{c.Bidder, c.Bids, c.Start, c.End} }

func (s *Statistics) fields() (all []any) {
	for _, counts := range [][4]int64{s.Bids, s.Bidders, s.Auctions} {
		for _, n := range counts {
			all = append(all, n)
		}
	}
	return all
}

func dayText(day int32) string { return time.Unix(int64(day)*24*60*60, 0).UTC().Format(time.DateOnly) }
