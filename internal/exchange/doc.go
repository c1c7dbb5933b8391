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
// channels and nothing else. Control needs no credit and keeps the order of its channel.
package exchange
