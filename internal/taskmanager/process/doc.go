// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package process is a Worker: a TaskManager whose executors are processes of the programs of its jobs.
//
//	JobManager <== connection ==> Router --- TaskManager: slot table, one executor a job
//	                                           |  asks for the setup of the job, fetches its program,
//	                                           |  starts it, passes messages on, tells of its end
//	                                           v
//	                                         child process, role EXECUTOR
//
// The goroutine of the TaskManager's endpoint owns the executors. One goroutine an attempt to start a process fetches the
// program, waits until it has taken on its role and then for its end, and posts what happens.
//
// Messages of a JobMaster are passed on to the child as they came, after the slot table has seen them. Those of the child
// are sent on as the TaskManager's own: one sender, one sequence, so that what it says of slots and what its child says of
// tasks keep their order. The slots in a report are written by the TaskManager, since the child may not have heard of the
// newest.
//
// Directories, below that of the data:
//
//	taskmanager-ID/artifacts   programs by hash, the last ArtifactsMax
//	taskmanager-ID/jobs/JOBID  working directory of an executor, gone when it ends
//	taskmanager-ID/log         the Worker's own log, and JOBID/executor.log of the last LogJobsMax jobs
//
// Non-obvious: messages that come while a process starts wait for it, else each deployment would cost a heartbeat. The first
// restart of a process that ran well is immediate; the others wait longer each time.
package process
