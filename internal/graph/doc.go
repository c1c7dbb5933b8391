// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package graph turns the description of a job into what is scheduled. All of it is pure.
//
//	StreamGraph   one node a step, as build describes it          (stream makes it)
//	   | chaining, ids, fingerprint
//	JobGraph      one vertex a chain of steps                      (compared between roles, shown as plan)
//	   | parallelism
//	ExecutionGraph  one execution a subtask and attempt            (JobMaster owns it)
package graph
