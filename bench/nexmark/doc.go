// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Nexmark runs the queries of the benchmark of that name, as ordinary jobs on the public API.
//
//	go run ./bench/nexmark --queries q0,q5 --events 10000000 --parallelism 2 --checkpoint-interval 10s
//	go run ./bench/nexmark --hand --borrowed               beside loops, and with records that go through sockets
//	go run ./bench/nexmark --engine flink --flink-home DIR  beside Flink, a distribution with its SQL client; needs a JDK
//	go run ./bench/nexmark --engine flink --flink-home DIR --check --events 200000 --tps 1000 --out-of-order 1000
//	                                                       compares what both compute, and measures nothing
//	go run ./bench/nexmark --cluster --taskmanagers 2      on a cluster of real processes
//
// # The events
//
// An auction house: people register, open auctions and bid. Events are numbered, and fifty in a row are an epoch: one
// person, three auctions, then 46 bids. All of an event follows from its number and the seed, so that any reader can
// make any part of the sequence.
//
//   - People and auctions are numbered from 1000 on, in the order in which they come.
//   - Half of the bids are for the hot auction, which is the first of each hundred; the rest choose among the last 101
//     auctions and ten that are about to open. Three bids of four are by the hot bidder, the second of each hundred people;
//     the rest choose among the last thousand and ten who are about to register. Three auctions of four are by the hot
//     seller, the first of each hundred people.
//   - Prices are 10^(6u) dollars, u uniform in [0, 1); a reserve is the initial bid and another price on top.
//   - An auction is open for a time that is uniform, and in the mean that in which a hundred auctions open.
//   - Half of the bids come from one of four hot channels, the others from one of ten thousand; the URL of nine in ten
//     of these names the channel by an id.
//   - Texts are of lowercase letters. Item names have 3 to 19 and descriptions 3 to 99 of them, one in thirteen a space.
//     A last field fills records up to 200 bytes for a person, 500 for an auction and 100 for a bid in the mean, each a
//     fifth less or more of what it fills.
//   - Event time is the number divided by a rate, in milliseconds. With an order of groups, each group of n events is
//     shuffled by a multiplication: times then go back, but never beyond the group.
//
// Texts are cut from long ones that are made ahead, by a place that is random; no event allocates.
//
// # Flink beside them
//
// In flink/ are the queries as SQL, and in Java a source that makes the same events, the side input of q13, and a sink that writes a
// changelog. What is measured goes to Flink's own blackhole. With --check it goes to that sink instead, and what counts is the
// view that the changes of each query amount to in the end:
//
//	Flink: SQL --> +I -U +U -D, a file a subtask --> rows and how often each is there --+
//	                                                                                    +-- equal, or the rows that differ
//	here:  job --> rows, or the last row of each key of upserts -----------------------+
//
// The events themselves are compared first, with all their fields. No event is late on either side, since none is further
// behind than watermarks are, so windows have one answer. What both leave open is not compared: which of the bids holds that the
// SQL of q9, q18 and q19 doesn't tell apart; the bids of q7 at the very end of a window, which its SQL
// looks for in two; and the windows of q12, which are by the clock: of these must hold that each is ten seconds long and has a
// bidder once, with no more bids in all than she made. Flink's SQL has no q6.
//
// Many events in a millisecond make many ties. At a low --tps they are all told apart, and there are many windows, days and sessions.
package main
