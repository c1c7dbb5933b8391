// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package core decides for the Dispatcher: what the records of the job store amount to (State), which of them may follow,
// and when a JobMaster process that ended is started again (Restarts). It is pure: the shell in package dispatcher reads
// and writes the records, starts the processes and brings the time.
//
// Invariants:
//
//   - The state is the fold of the records in the order of their numbers, and of nothing else; a summary record holds the
//     whole of it, so that folding from there gives the same.
//   - A record of a lower epoch than one before it counts for nothing: it is of a leader that did not know yet that it
//     had been replaced.
//   - A job id is used once; a job ends once. Records that say otherwise mean that the store is damaged, and nothing is
//     started from it.
package core
