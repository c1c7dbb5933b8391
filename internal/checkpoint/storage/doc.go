// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package storage keeps checkpoints durable and gives each of them one owner. It needs of its medium no more than
// Objects: named bytes with a conditional create, which files have (link) and object stores too.
//
//	DIR/runs/N                 log of the runs below DIR: the newest is what `latest` means
//	DIR/JOB/run                what the run is
//	DIR/JOB/epoch/N            log of JobMaster epochs: who made the newest record is the JobMaster
//	DIR/JOB/hosts/N            log: the TaskManagers that may run tasks, for who goes on with them
//	DIR/JOB/ids/N              log of blocks of 16 checkpoint ids: block N holds 16(N-1)+1 .. 16N
//	DIR/JOB/chk/ID.meta        metadata, worth nothing without
//	DIR/JOB/chk/ID.mark        the claim: COMPLETE or ABORTED, made once by one conditional create
//	DIR/JOB/decided/N          log: below which id all is decided, and which of those are complete
//	DIR/JOB/state/ID-...       what subtasks wrote
//	DIR/JOB/result             how the job ended, made once
//
// A record is a line of text with a checksum. A log is a sequence of numbered records, each made by a conditional create
// and carrying an epoch; its newest record is what it says.
//
// A Run reads; a Leader, which is a Run with an epoch, also writes. Invariants:
//
//   - An id is complete exactly if its marker says so and either the id is at or above the newest decided-below, or that
//     record lists it. Whoever creates the marker first decides.
//   - A new Leader first makes the next epoch, then the next block of ids, then an ABORTED marker for each undecided id
//     before that block; where it loses that race the checkpoint is complete. From then on an earlier Leader that wakes
//     up can neither claim an id nor reserve one.
//   - State files and metadata are durable before the marker is made, and removed only after the decided-below record
//     that no longer lists their checkpoint is durable. So a crash between any two steps leaves a complete checkpoint or
//     files that are known to be garbage: what no complete checkpoint refers to and carries an id below the Leader's
//     first.
//   - What is read is durable before it is relied on: List syncs the directory.
//
// The methods of Run and Leader may be called from any goroutine, but those of Leader that write the same log (ReserveIDs,
// Delete) one at a time: the JobMaster's goroutine for storage does.
//
// Non-obvious: a create whose outcome is unknown (an error after the link) may have happened; the next attempt then
// finds a record with its own bytes and takes it for its own. That is right for records that carry the epoch of their
// maker, since an epoch has one holder, and wrong for the epoch record itself: there it counts as another's.
package storage
