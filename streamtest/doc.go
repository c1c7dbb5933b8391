// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package streamtest tests steps by hand and jobs whole.
//
// A Harness drives a piece of a pipeline in the goroutine of the test: records, event time and processing time go in by
// calls, and what comes out is there when they return. It runs the operators, the partitioning and the state that a job
// runs, without tasks around them; Restart snapshots all state and restores it at another parallelism.
//
//	h := streamtest.New(t, alerts)              alerts is a func(stream.Stream[Tx]) stream.Stream[Alert]
//	h.Push(t0, Tx{"a", 70}, Tx{"a", 40})
//	h.Restart(2)
//	h.Watermark(t0.Add(time.Minute))
//	got := h.Take()
//
// Run runs a whole job on an embedded cluster of its own, with sources and sinks replaced by uid.
package streamtest
