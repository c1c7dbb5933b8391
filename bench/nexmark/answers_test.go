// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"
)

// TestAnswers runs the jobs, and finds as many rows as there are: so the columns of keys are the right ones.
func TestAnswers(t *testing.T) {
	g := checkedEvents(t, 1000)
	events := g.all()
	all := allAnswers()
	for name, want := range map[string]int{
		"all": len(events), "q0": len(wantQ0(events)), "q4": len(wantQ4(events)), "q9": len(wantQ9(events)),
		"q10": len(wantQ0(events)), "q12": 0, "q14": len(wantQ14(events)), "q15": len(wantQ15(events)), "q16": len(wantQ16(events)),
		"q17": len(wantQ17(events)), "q18": len(wantQ18(events)), "q19": len(wantQ19(events)), "q23": len(wantQ23(events)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := all[name]
			got, err := a.ours(t.Context(), g, settings{parallelism: 2, checkpointInterval: time.Minute, checkpointDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			if got.rows() != want {
				t.Errorf("%d rows, want %d", got.rows(), want)
			}
			if _, lines := a.verdict(g, got, got); len(lines) > 0 {
				t.Errorf("the same on both sides: %q", lines)
			}
		})
	}
}

// TestFieldsOfAnswers shows what the text of rows is made of.
func TestFieldsOfAnswers(t *testing.T) {
	at := time.Date(2015, 7, 15, 0, 1, 2, 3_000_000, time.UTC)
	millis := Millis(at.UnixMilli())
	for want, fields := range map[string][]any{
		"1 2 3 c u 1436918462003 x":       (&Bid{Auction: 1, Bidder: 2, Price: 3, At: millis, Channel: "c", URL: "u", Extra: "x"}).fields(),
		"1 2 1436918462003 1436918462004": (&BidderCount{1, 2, at, at.Add(time.Millisecond)}).fields(),
		"1 2 3 4 5 6 7 8 9 10 11 12":      (&Statistics{[4]int64{1, 2, 3, 4}, [4]int64{5, 6, 7, 8}, [4]int64{9, 10, 11, 12}}).fields(),
		"2015-07-15 0 null":               {dayText(millis.Day()), KindPerson, nil},
	} {
		if got := strings.ReplaceAll(textOf(fields...), "\t", " "); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

// TestTies has bids that q18 can't tell apart: two of one bidder for one auction at the same time. It leaves open which of
// them holds, and nothing else.
func TestTies(t *testing.T) {
	g := newGenerator(t, Config{Events: 5000, EventsPerSecond: 1_000_000_000})
	a := allAnswers()["q18"]
	rows := func(price int64, bidders ...int64) view {
		v := view{}
		for _, bidder := range bidders {
			v.add(textOf((&Bid{Auction: firstAuction, Bidder: bidder, Price: price, At: Millis(g.base)}).fields()...), 1)
		}
		return v
	}
	hot, silent := int64(firstPerson+1), int64(1)
	word, lines := a.verdict(g, rows(1, hot), rows(2, hot))
	if len(lines) > 0 || !strings.HasPrefix(word, "equal, but for 1 rows of one of several bids") {
		t.Errorf("another bid of several: %s, %q", word, lines)
	}
	if _, lines := a.verdict(g, rows(1, hot), rows(1, hot, hot)); len(lines) != 1 {
		t.Errorf("a row more: %q", lines)
	}
	word, lines = a.verdict(g, rows(1, silent), rows(2, silent))
	if len(lines) != 2 || word != "DIFFERENT" {
		t.Errorf("another bid of one: %s, %q", word, lines)
	}
}

// TestWindowEnds leaves out bids that the SQL of q7 finds in two windows.
func TestWindowEnds(t *testing.T) {
	g := newGenerator(t, Config{})
	a := allAnswers()["q7"]
	ours := view{"1\t2\t3\t10000\tx": 1, "1\t2\t3\t10001\tx": 1}
	if _, lines := a.verdict(g, ours, view{"1\t2\t3\t10000\tx": 2, "1\t2\t3\t10001\tx": 1}); len(lines) > 0 {
		t.Errorf("at the end of a window: %q", lines)
	}
	if _, lines := a.verdict(g, ours, view{"1\t2\t3\t10000\tx": 1, "1\t2\t3\t10001\tx": 2}); len(lines) != 1 {
		t.Errorf("within it: %q", lines)
	}
}

// TestCountedOnce refuses what can't be an answer of q12.
func TestCountedOnce(t *testing.T) {
	g := newGenerator(t, Config{Events: 50})
	const bidder = firstPerson + 1 // the hot one
	made := int64(0)
	g.each(func(e *Event) {
		if e.Bid.Bidder == bidder {
			made++
		}
	})
	row := func(bids, start, end int64) string { return textOf(bidder, bids, start, end) }
	if err := countedOnce(g, view{row(made-1, 10_000, 20_000): 1, row(1, 30_000, 40_000): 1}); err != nil {
		t.Error(err)
	}
	a := allAnswers()["q12"]
	for what, v := range map[string]view{
		"more than were made":    {row(made+1, 10_000, 20_000): 1},
		"no bid":                 {row(0, 10_000, 20_000): 1},
		"a window twice":         {row(1, 10_000, 20_000): 2},
		"a window that is short": {row(1, 10_000, 15_000): 1},
		"one at no multiple":     {row(1, 15_000, 25_000): 1},
		"no numbers":             {"a\tb": 1},
	} {
		word, lines := a.verdict(g, v, view{})
		if len(lines) != 1 || !strings.HasPrefix(lines[0], "here: ") || !strings.HasPrefix(word, "NOT ") {
			t.Errorf("%s: %s, %q", what, word, lines)
		}
	}
}
