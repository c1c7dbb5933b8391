// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package element holds what flows between operators: batches of records, and the control behind them. Operators and
// connectors see it; a job meets it as stream.Out only.
//
//	row   row   row  ...            one Batch[T]: rows by value,
//	time  time  time ...            event times and
//	hash  hash  hash ...            key hashes in parallel columns
//	                    Control     a watermark, barrier, idleness or the end, behind the batch
//
// Types are erased once a batch: the exchange moves Any, the head of a chain asserts the type of each batch once, and
// everything in between is typed loops.
//
// Non-obvious: a callee may swap the storage of a batch that it was handed, so a producer re-reads its slices after
// each hand-over. Rows beyond Len hold stale records; Append zeroes, Resize does not.
package element
