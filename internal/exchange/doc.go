// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package exchange moves batches from the subtasks of one vertex to those of the next, within a process without
// serialization and between processes in columnar frames, behind the same interfaces.
//
//	chain -> Writer[T] (partitioner, open builders) -> Sender ==channel==> Gate -> task -> chain
//	                                                   ^                    |
//	                                                   +------ credits -----+
//
// A channel is one producer subtask to one consumer subtask of one edge. Its order is kept, control included. Data needs
// credit: a channel holds at most Credits batches that its consumer has not released, so a slow consumer stops its own
// channels and nothing else. Control needs no credit and keeps the order of its channel; watermarks and status that no
// batch separates run together.
//
// Tasks call it: a producer makes a Partition and hands its Senders to Writers, a consumer makes a Gate and connects its
// channels. The Environment, one an executor, brings both together, in this process or another. docs/design/exchange.md
// argues, docs/formats/wire.md has the bytes.
//
// Lock order: Partition before Gate; the locks of registry, connections and network are held alone.
//
// Non-obvious:
//   - A batch is released, and its credit given back, after the chain has returned from it. Releasing earlier breaks
//     backpressure, never doing it stops the channel.
//   - The loss of a producer overtakes what it sent: the task fails anyway.
//   - End of input ends a channel before its partition goes. What happens to the partition, the connection or the process
//     afterwards is no loss.
//   - A producer is woken at half of its credit, not at the first batch.
//   - A batch that came in with borrowed strings may be passed on as it is, with its frame, but not row by row.
package exchange
