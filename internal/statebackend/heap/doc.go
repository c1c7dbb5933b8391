// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package heap keeps keyed state in memory: one row a key, in a typed open-addressing table, with snapshots that never
// stop its owner. Operators call it from the goroutine of their task; docs/design/epoch-snapshots.md has the reasons.
//
//	hash -> Mul64(hash, maxParallelism) -> key group: segment
//	                                    -> rest * mix: tag (40 bits), whose order is the order of slots
//
//	slot   meta { tag | dead | live | epoch of the last write }, state S, key K
//
// A segment is one key group: it grows alone, by a third, or doubles where rows lie beside the table, so that no batch
// waits for more than one segment or two. Where K and S hold no pointers its slots lie outside the collector's sight.
//
// A snapshot is a number: Begin makes the next epoch, and a row belongs to the snapshot as it is if its epoch is older.
// Before the first write to such a row its old version is held back for the snapshot; meanwhile Step walks over the slots
// and writes the rows that were not written to. An increment leaves out rows that are older than the last completed
// checkpoint, and tells of deleted ones by tombstones.
//
//	epoch   1        2          3         4
//	      ..... | ........ | ........ | .......>  writes come in the last epoch
//	          Begin(7)   Begin(8)   Begin(9)
//	          completed  aborted    running: epochs 2 and 3, since what 8 would have held is dirty still
//
// Operators look keys up by groups (Resolve): the slots of the next group are asked for while the rows of this one are used,
// and rows are found in rounds without a jump that could be foreseen wrongly, so that waits for memory overlap with each
// other and with the user's code. What such a round does not find is left to Row, which looks for one key and may make it.
//
// Boxed is a table of pointers to rows that lie beside it: large ones that the collector has to see.
//
// Timers are a table of their own whose rows have no state, with heaps derived from it; Watermarks keeps what each key
// group has seen of event time. Columns are the state of windows: a column of accumulators for each slice of time, with
// snapshots by the page; Sessions are a table of those that are open. docs/design/windows.md tells of both.
//
// Non-obvious:
//   - What a scan has passed is told by the home of a row (its tag), never by the slot where it lies: deletes move rows
//     back and growth moves all, while a scan is under way.
//   - A row with slices, maps or pointers is encoded when it is held back, since its copy would change with it.
//   - A tombstone is needed as long as a checkpoint that may still complete, or the last completed one, may hold the row.
//   - Rows are lent in place: a pointer is valid until the next call of the table. Those of a group are read one by one, as
//     the table makes the rest of them nil when rows move, are deleted, or belong to a new epoch.
//   - Columns have no tombstones: what Restore leaves out is told by the watermarks of the same checkpoint.
//   - Ids of keys change in Columns.Tend only, which does nothing while a snapshot runs, as that has pages by number.
package heap
