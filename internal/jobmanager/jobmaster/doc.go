// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package jobmaster runs one job: it schedules its tasks, takes its checkpoints, restarts what fails, enumerates the
// splits of its sources and commits the output of its sinks.
//
//	messages, time --> endpoint's goroutine --> core.Master --actions--> messages
//	                        ^                                    |
//	                        |  results, posted                   v
//	                        +---- storage | enumerators | commits: goroutines of their own
//
// What is decided is decided in core, which is pure; this shell does what it says. All blocking work is on goroutines
// that the JobMaster owns: one for the checkpoint storage, where order matters, one for each split enumerator, and one
// for each commit under way.
//
// Non-obvious: a JobMaster that was deposed by a later one must leave no trace, so it neither commits nor records nor
// cleans up from the moment it knows; what it had begun is harmless, because commits are idempotent and claims are
// conditional.
package jobmaster
