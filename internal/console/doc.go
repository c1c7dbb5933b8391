// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package console says in words how a job is doing: the line that shows progress while it runs, the summary at its end,
// and the help of a job program. All of that is pure: from samples to text. Terminal is where it is shown, by a job
// program and by the command line of a cluster.
//
//	RUNNING  00:14  in 26.8k (2.0k/s)  out 2,196  watermark 2013-01-30T23:59Z (-13.8y)  checkpoint 3 (2s ago, 12ms, 88 kB)
//
// Non-obvious: a watermark that stands still while records come in names the split that holds it, after StuckAfter.
package console
