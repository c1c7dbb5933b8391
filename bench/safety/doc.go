// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Safety measures what safety costs a job:
//
//	go run ./bench/safety                                   checkpoints, and ways between TaskManagers
//	go run ./bench/safety --only checkpoints --rounds 5     one of the two
//
// # Checkpoints
//
// A job counts records by key. After its rows are all there it changes a twentieth of them again and again, or all: the rows
// that a checkpoint finds dirty are those that the records of its interval have hit. It runs without checkpoints, with one every
// ten seconds and with one every second. Cost is how much more CPU time a record takes than without checkpoints, of the process,
// all threads and the writing of files included. On a machine that others use as well that is drowned by what they do to its
// caches, so single checkpoints are measured, too: each beside the two seconds that follow it.
//
// # Ways
//
// A job sends bids of 176 bytes, four texts among them, by key to steps that count them: four subtasks within one
// TaskManager, or spread over two or four, which send half or three quarters of the records through sockets of TCP or of unix,
// with strings that the receiver copies or borrows.
//
// The TaskManagers are in one process, so that CPU time is of all of them, and the sockets are real. Runs that are
// compared take turns, round by round; what is shown is the median of the rounds.
package main
