// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package file reads files and writes them exactly once: CSV, JSON lines and plain lines, the read ones also compressed
// (.gz, .zst).
//
//	source:  list, by name --> files --> splits, cut lazily --> readers, one split at a time
//	sink:    .part-J-S-A-N.csv.inprogress --roll--> .part-J-S-A-N.csv.pending --commit--> part-J-S-A-N.csv
//
// # Source
//
// The enumerator lists the files once, at the first start, and keeps the list in its state: a restored one neither
// repeats nor forgets a file. A compressed file is one split; a plain one is cut into parts of about 64 MB that begin
// where a record begins. A file is read as long as it was when it was listed; one that has vanished or has become
// shorter is an error. The position of a split counts bytes of the decompressed stream, so reading resumes behind the
// last record that was handed out.
//
// # Sink
//
// Each writer has one file in progress, or one for each partition. It is closed, made durable and becomes pending when it reaches a size or an age,
// and at every checkpoint, which takes the pending files as its committables. After the checkpoint completed, the
// committer gives them their final names. So at any moment a file is
//
//	in progress    known to its writer only: garbage once the attempt is dead
//	pending        in a committable: garbage only if no checkpoint that holds it will ever be restored or completed
//	finished       visible, and never touched again
//
// Names hold the job (J), the subtask (S), the attempt (A) and a number (N), so that no two attempts ever write the same
// file. A new attempt sweeps what dead ones left. When it starts, the committables of the restored checkpoint have been
// committed, so what is left uncommitted under smaller attempt numbers is garbage: its records will be written again.
// Subtask i of p sweeps for all numbers that are i modulo p: after a change of parallelism each number still has exactly
// one sweeper. A writer never sweeps attempts greater than its own: they belong to its successors. Crashes between two
// steps leave these:
//
//	before a roll is durable            in progress, swept by the next attempt
//	durable, not in a checkpoint        pending, swept by the next attempt
//	in a checkpoint, not committed      pending, committed again from the restored checkpoint
//	some files renamed                  the rest is renamed; a final name with the right size counts as done
//	renamed, directory not synced       the rename may be undone by a power loss, and is done again
//
// Partitions are directories below the sink's. Files get there with their final name only: what is in progress or pending
// lies in the sink's own directory, where one look finds all that is to be swept.
//
// A directory belongs to one sink of one run, which the marker in it names, the file .weir-run. A run that begins from the
// last thing that the owner did takes over by creating the marker with the next number, .weir-run-2 and so on: that is
// conditional, so of several runs from one savepoint one wins, and the chain of markers tells whose results are the rows
// before its own. What those runs left uncommitted is swept, too: what is restored of them has been committed by then. The
// former owner, should it still run, finds the marker at its next checkpoint and fails.
//
// Non-obvious: what looks like a lost file is not: a commit whose pending and final files are both missing fails the job
// for good, since its records exist nowhere else. Finished files may be moved away only once no checkpoint that lists
// them can be restored.
package file
