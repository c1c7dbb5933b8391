// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Command latency measures how long a result takes: from the time at which the last event of a window was due until the
// window's results reach the sink.
//
//	feed, paced --> KeyBy --> sliding window, count --> histogram
//
// Events carry the time at which they are due, and are sent by it: what the machine sends late counts as latency. A window
// that ends at E fires when the first event at or behind E has come from every reader, and each of its results is a sample:
// the time at the sink less E. So what is measured has in it the pacing of the source, the watermark, the exchange, the
// firing of the window with all its keys, and the way to the sink.
//
// Beside it stands a control: a loop that does nothing but wait for the next millisecond and see how late it is. A machine
// whose control is late can't be measured more finely. It runs before each job, for as long.
//
//	go run ./bench/latency --rates 100000,1000000 --duration 30s --keys 10000
//
// Non-obvious: Go can't sleep for less than about a millisecond in a process that is idle otherwise, so a reader sends what
// is due about once a millisecond, and half of that is in each sample.
package main
