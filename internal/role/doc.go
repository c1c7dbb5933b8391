// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package role is what a job program does when a process of a cluster started it.
//
//	parent                              the program
//	   | -- RoleSpec ----------------->   build, for the graph
//	   | <-- Description --------------   DESCRIBE: that was all
//	   | <-- RoleReady or RoleFailed --   JOB_MASTER: a launch.Launcher with one job; EXECUTOR: an executor.Executor
//	   | <== Names, Envelopes ========>   until the parent closes the link, which ends the process at once
//
// The environment says whether the program has a role (FromEnvironment), and which descriptor its link to the parent is.
// weir.Main looks there before all else: flags, signals and what goes to standard output are none of a role's business.
//
// Invariants: all roles of a job describe the same graph, with the same arguments, directory and settings, and say by its
// fingerprint which it was; the first step that differs is named. Nothing outlives the link.
//
// Non-obvious: what is left of a process at the end of its link is not cleaned up, since whoever continues its work
// can't rely on that anyway.
package role
