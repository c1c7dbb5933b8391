// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package statefile is the file that one subtask writes for one checkpoint, and what a subtask of any later parallelism
// reads of such files.
//
//	task's goroutine                 Builder's goroutine
//	Writer.Write --> buffer --full--> checksum, compress --> file --> fsync --> Result
//	Room? no  ...   Roomy <----------- a buffer was written
//
//	file:   header | block | block | ... | index | trailer
//	block:  checksum, lengths, rows, key group, operator, state, kind | data
//	index:  for each operator and state: schema, and where its blocks are
//
// The storage sets the pace and nobody blocks: Room says no while all buffers are taken, then the task goes on with its
// work, and is told by Target.Roomy when it is worth to ask again. After a yes the next block is taken whatever its size.
// When the file is lost, Room says yes and Write says why. A snapshot of a few kilobytes becomes no file: it travels in the
// acknowledgement, and is stored in the metadata (Segment.Inline).
//
// A Storage makes Builders and Readers for one task. It remembers which file each checkpoint of the attempt wrote, so that
// an increment can name those it builds on.
//
// Invariants: each block is checked when it is read, the index by the checksum that the segment holds, so a file that was
// cut, changed or exchanged is an error that wraps checkpoint.ErrCorrupt and names file and offset. Reading memory is
// bounded by the largest block.
//
// Non-obvious: a segment may hold blocks of key groups that its subtask did not own in the end, or of a state that was
// written anew later; the handle of each old subtask is read for the key groups that it owned, and for the segments that
// count for the state, and for nothing else.
package statefile
