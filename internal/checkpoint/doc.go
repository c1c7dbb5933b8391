// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package checkpoint says what a checkpoint is: the metadata that names every piece of state of a job at one consistent
// cut, and its stored form. Its folders do the rest: coordinator decides when and whether a checkpoint completes,
// statefile is the file that a subtask writes, storage keeps both durable and gives each checkpoint one owner.
//
//	task       statefile.Builder --> storage.Run state files      ack: StateHandle, committables
//	JobMaster  coordinator.Coordinator --> Metadata --> storage.Leader: WriteMetadata, Claim
//	restore    storage.Run.Latest --> Metadata --> StateHandle --> statefile.Reader
//
// Invariants: an encoded Metadata is self-checking, and the same value always has the same bytes. A path in it is
// relative to the directory of its run or savepoint, so that the directory can be moved, or absolute where the file
// belongs to another. The package knows no RPC, no clock and no files.
//
// Non-obvious: the segments of a StateHandle don't all count for each of its states. A state that was written whole in
// the newest segment has no blocks to be read in older ones, even if these hold some under its name: they could bring
// back rows that were deleted since. State.Segments is what counts.
package checkpoint
