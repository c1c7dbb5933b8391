// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/bits"

	"github.com/weir-stream/weir/stream"
)

// numbered makes records of so many keys, in an order without pattern, a million a second of event time.
func numbered(keys int64) func(int64, *record) {
	return func(i int64, out *record) { out.Key, out.At = scramble(i, keys), i*1000 }
}

// scramble deals out numbers below n, uniformly and without order.
func scramble(i, n int64) int64 {
	x := uint64(i) * 0x9E3779B97F4A7C15
	x = (x ^ x>>32) * 0xD6E8FEB86659FD93
	hi, _ := bits.Mul64(x^x>>32, uint64(n))
	return int64(hi)
}

//go:noinline
func keyOf(in *record) int64 { return in.Key }

// seen is the state of a key.
type seen struct{ N, Last int64 }

//go:noinline
func count(st *seen, _ *stream.Ctx[int64], in *record, out *stream.Out[int64]) error {
	st.N++
	st.Last = in.At
	out.Emit(st.N)
	return nil
}
