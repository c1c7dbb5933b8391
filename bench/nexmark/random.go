// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"math/bits"
)

// golden is the odd number next to 2^64 divided by the golden ratio, which spreads consecutive numbers.
const golden = 0x9e3779b97f4a7c15

// random is a stream of words that follows from a number alone, so that any event can be made by itself.
type random uint64

// randomOf begins the stream of a number.
func randomOf(seed uint64, n int64) random { return random(mix(seed ^ uint64(n)*golden)) }

// word returns the next 64 random bits.
func (r *random) word() uint64 {
	*r += golden
	return mix(uint64(*r))
}

// mix spreads each bit of x over all: the finisher of splitmix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// dice is a random word that several small numbers are drawn from: as a fraction it is cut into n parts, and the place
// within the part serves the next draw. The product of all n must stay far below 2^64.
type dice uint64

// draw returns a number in [0, n).
func (d *dice) draw(n int64) int64 {
	part, rest := bits.Mul64(uint64(*d), uint64(n))
	*d = dice(rest)
	return int64(part)
}

// Prices are 10^(6u) dollars in cents for u uniform in [0, 1): as many between 1 and 10 dollars as between 100,000 and a
// million. A power costs as much as all the rest of a bid. So u is cut into priceSteps, whose powers are in a table, and
// within a step two terms of the series of e^x suffice: they are exact to 1e-8.
const (
	priceStepBits = 12
	priceSteps    = 1 << priceStepBits
	priceDecades  = 6
)

type priceTable [priceSteps]float64

func newPriceTable() *priceTable {
	var t priceTable
	for i := range t {
		t[i] = 100 * math.Pow(10, priceDecades*float64(i)/priceSteps)
	}
	return &t
}

// price turns a random word into a price. The conversions keep products and sums apart, so that all machines round alike.
func (t *priceTable) price(word uint64) int64 {
	const step = priceDecades * math.Ln10 / priceSteps
	x := float64(float64(word<<priceStepBits>>11) * (step / (1 << 53)))
	factor := 1 + float64(x+float64(x*x/2))
	return int64(float64(t[word>>(64-priceStepBits)]*factor) + 0.5)
}
