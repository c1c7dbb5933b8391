// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package bench holds the benchmarks of whole jobs, written against the public API and run on an embedded cluster. Its
// code is in the tests; docs/internals/performance.md has the figures and how to read them.
//
//	feed --rounds of n records--> job under test --> tally    one round, then the loop over as many records,
//	                                                          then the next round, ...
//
// A job runs through all of a benchmark: what is measured is its steady state. A round releases records to the source and
// ends when the sink has all results. Each round is followed by the same work as a hand-written loop, in the same process,
// and both are measured in CPU time of the process, which a busy machine disturbs least. The ratio is that of the
// medians.
//
// # Non-obvious
//
//   - User functions are called through variables and never inlined, in the job and in the loop alike: a job can't inline
//     them, and what it costs to call them is no cost of the engine.
//   - The loop walks batches as the engine does. A loop that fuses all steps of a record would keep it in registers; that
//     is what a program costs that is no pipeline.
package bench
