// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package core is the JobMaster of one job as a state machine: ExecutionGraph, slot pool, failover, split assignments,
// and the coordinator of checkpoints with all that hangs on it. It has no goroutine, clock or I/O: events are methods of
// Master that take the time, what is to be done is fetched with Take, and what was done comes back as an event.
//
//	                      offers                    reports, acknowledgements
//	ResourceManager ---> TaskManagers ----------------------------------------> Master
//	       ^                  ^                                                  |  |
//	       +---- needs -------+---- answers, deployments, triggers, outcomes ----+  +-> store, committers, enumerators
//
// A region, the subtasks that are connected by edges, goes through these states, and nothing else moves tasks:
//
//	backoff -> restoring -> waiting for slots -> deployed -> canceling -> backoff ...
//
// A Master of a later epoch begins by looking for the tasks of those before it: a region that is whole, and follows from the
// newest complete checkpoint, is deployed from the start. docs/design/adoption.md has the protocol.
//
// Invariants:
//
//   - Attempt ids are unique over all epochs of a job, and grow. Messages about attempts that are not current are dropped.
//   - No two attempts of a subtask run in one epoch: a region starts again only when all its attempts have ended.
//   - Order of a restore: no claim is under way, the newest complete checkpoint is read, all that it holds for committers
//     is committed, enumerators start, tasks are deployed.
//   - What must arrive is said again: needs and heartbeats always, deployments and cancellations until a report shows
//     them, outcomes of checkpoints and assignments until a report covers them.
//
// Non-obvious: assignments of splits are numbered where they arrive, in the same queue as the snapshots of the
// enumerator that made them, so that the number in a trigger is exactly what the snapshot knows of. When all readers of a
// source restart, its enumerator is restored with them; when only some do, it lives on and gets back what was assigned to
// them after the checkpoint.
package core
