// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package jobs runs whole jobs on the embedded cluster, in many configurations and through failures, and compares what
// they commit with a plain computation over the same input.
//
//	events, quotes --> pipeline of the public API --> committed rows  ==  reference(events, quotes)
//
// What a run does with chance, it draws from a seed, which a failing test prints; -jobs.seed=N repeats it. The seed
// repeats the configuration and the plan of failures, not each interleaving of goroutines.
package jobs
