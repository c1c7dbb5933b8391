// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package aggregate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weir-stream/weir/aggregate"
)

type bid struct {
	price int64
	by    string
}

func price(b *bid) int64 { return b.price }

var bids = []bid{{30, "ann"}, {10, "bob"}, {70, "cy"}, {10, "di"}, {50, "ed"}}

// check compares the result over all splits of the records into two accumulators with want: Merge must not show.
func check[A any, R comparable](t *testing.T, name string, f aggregate.Function[bid, A, R], want, empty R) {
	t.Helper()
	for cut := range len(bids) + 1 {
		var left, right A
		for i := range bids {
			acc := &left
			if i >= cut {
				acc = &right
			}
			f.Add(acc, &bids[i])
		}
		f.Merge(&left, &right)
		if got := f.Result(&left); got != want {
			t.Errorf("%s, cut at %d: %v, want %v", name, cut, got, want)
		}
	}
	var none, other A
	f.Merge(&none, &other)
	if got := f.Result(&none); got != empty {
		t.Errorf("%s of nothing: %v, want %v", name, got, empty)
	}
}

func TestFunctions(t *testing.T) {
	check(t, "count", aggregate.Count[bid](), 5, 0)
	check(t, "sum", aggregate.Sum(price), 170, 0)
	check(t, "avg", aggregate.Avg(price), 34.0, 0)
	check(t, "min", aggregate.Min(price), 10, 0)
	check(t, "max", aggregate.Max(price), 70, 0)
	check(t, "min of strings", aggregate.Min(func(b *bid) string { return b.by }), "ann", "")
	check(t, "distinct", aggregate.CountDistinct(price), 4, 0)
	check(t, "order", aggregate.Of(
		func(acc *string, b *bid) { *acc += b.by[:1] },
		func(acc, from *string) { *acc += *from },
		func(acc *string) string { return strings.ToUpper(*acc) },
	), "ABCDE", "")
}

type mean struct{ n, sum int64 }

func (m *mean) add(b *bid)       { m.n, m.sum = m.n+1, m.sum+b.price }
func (m *mean) merge(from *mean) { m.n, m.sum = m.n+from.n, m.sum+from.sum }
func (m *mean) text() string     { return fmt.Sprintf("%d/%d", m.sum, m.n) }

func ExampleOf() {
	f := aggregate.Of((*mean).add, (*mean).merge, (*mean).text)
	var acc mean
	for i := range bids {
		f.Add(&acc, &bids[i])
	}
	fmt.Println(f.Result(&acc))
	// Output: 170/5
}
