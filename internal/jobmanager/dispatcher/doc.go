// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package dispatcher is the part of a JobManager that takes jobs in and keeps them running: it stores programs and
// submissions, runs one JobMaster process of the job's program for each job, passes requests on to it and remembers how
// jobs ended. It serves the interfaces Jobs and Programs of package rest.
//
//	rest.Jobs, rest.Programs
//	        |
//	   Dispatcher --- job store (a log of records), artifacts
//	        |  \
//	        |   endpoint "dispatcher": summaries, replies, requests for the setup of an executor
//	        |
//	   supervise, one goroutine a job: starts a process, waits, starts the next
//	        |
//	   JobMaster process, endpoint "job/ID": frames through the Router
//
// Invariants:
//
//   - What is running follows the job store, never the other way round: a job is started when its record is stored, and
//     is over when its end is.
//   - There is at most one JobMaster process of a job here, and a job that has not ended gets another when one ends.
//   - A Dispatcher that finds itself deposed ends all its processes. Until it does, what its JobMasters do is fenced by
//     their own epochs.
//
// Lock order: Dispatcher.mu before job.mu; store.mu, Programs.mu, descriptions.mu and roleProcess.mu are taken alone.
//
// Non-obvious: a write that ended in an error may have been stored. The next one finds out, and reconcile, which also
// runs every second, starts what came about that way.
package dispatcher
