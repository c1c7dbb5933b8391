// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// reference computes what pipeline emits, by passes over all of the input.
func reference(in input) []result {
	var events []event
	for _, e := range in.allEvents() {
		e.Amount = cooked(e.Amount)
		for part := range copies(&e) {
			if c := e; kept(&e) {
				c.Part = part
				events = append(events, c)
			}
		}
	}
	slices.SortFunc(events, inOrder)
	quotes := in.allQuotes()
	return slices.Concat(
		trackReference(events), largeReference(events), countReference(events), tumblingReference(events),
		slidingReference(events), joinReference(events, quotes),
	)
}

func trackReference(events []event) (all []result) {
	type row struct {
		count, best int64
		words       map[string]int64
	}
	rows := map[int64]*row{}
	for _, e := range events {
		r := rows[e.Key]
		if r == nil || r.count == forgetAfter {
			r = &row{best: e.Amount, words: map[string]int64{}}
			rows[e.Key] = r
		}
		r.count++
		r.best = max(r.best, e.Amount)
		r.words[e.Word]++
		all = append(all, result{
			Of: "track", Key: e.Key, At: e.At, N: r.count, Sum: r.best,
			Text: fmt.Sprintf("%s:%d/%d", e.Word, r.words[e.Word], len(r.words)),
		})
	}
	return all
}

func largeReference(events []event) (all []result) {
	for _, e := range events {
		if e.Amount%11 == 0 {
			all = append(all, result{Of: "large", Key: e.Key, At: e.At, N: int64(e.Part), Sum: e.Amount})
		}
	}
	return all
}

func countReference(events []event) (all []result) {
	counts := map[string]int64{}
	for _, e := range events {
		counts[e.Word]++
		all = append(all, result{Of: "count", N: counts[e.Word]})
	}
	return all
}

func tumblingReference(events []event) []result {
	type id struct {
		word string
		at   int64
	}
	sums := map[id]int64{}
	for _, e := range events {
		sums[id{e.Word, floor(e.At, tumble)}] += e.Amount
	}
	var all []result
	for w, sum := range sums {
		all = append(all, result{Of: "tumbling", At: w.at, Sum: sum, Text: w.word})
	}
	return all
}

func slidingReference(events []event) []result {
	type id struct{ key, at int64 }
	windows := map[id]result{}
	for _, e := range events {
		for at := floor(e.At, slide); at > e.At-wide; at -= slide {
			r := windows[id{e.Key, at}]
			windows[id{e.Key, at}] = result{Of: "sliding", Key: e.Key, At: at, N: r.N + 1, Sum: r.Sum + e.Amount}
		}
	}
	return slices.Collect(maps.Values(windows))
}

func joinReference(events []event, quotes []quote) (all []result) {
	for _, e := range events {
		var last quote
		found := false
		for _, q := range quotes {
			if q.Key == e.Key && q.At <= e.At && (!found || newer(q, last)) {
				last, found = q, true
			}
		}
		all = append(all, joined(e.Key, &e, last))
	}
	return all
}

// differencesMax is how many differences a test prints.
const differencesMax = 12

// compare reports what was lost and what is too much.
func compare[T comparable](t *testing.T, got, want []T) {
	t.Helper()
	count := map[T]int{}
	for _, w := range want {
		count[w]--
	}
	for _, g := range got {
		count[g]++
	}
	var lost, surplus int
	var lines []string
	for r, n := range count {
		switch {
		case n < 0:
			lost -= n
			lines = append(lines, fmt.Sprintf("  lost %d of %+v", -n, r))
		case n > 0:
			surplus += n
			lines = append(lines, fmt.Sprintf("  %d too many of %+v", n, r))
		}
	}
	if lost+surplus == 0 {
		return
	}
	slices.SortFunc(lines, cmp.Compare)
	t.Errorf("%d rows, want %d: %d lost, %d too many\n%s", len(got), len(want), lost, surplus,
		strings.Join(lines[:min(len(lines), differencesMax)], "\n"))
}
