// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package core is what an executor knows of the tasks of its job: a state machine without goroutine, clock or I/O
// between the JobMaster's messages and the tasks.
//
//	DeployTasks, CancelTasks, ... --> Executor --Start, Cancel, Trigger, Assign, ...--> tasks
//	<-- ExecutorReport, TaskStateChanged, AcknowledgeCheckpoint ...  <-- Changed, Acknowledged ...
//
// What a task reports is sent at once and repeated with each report until the JobMaster's heartbeat shows that it
// arrived: an end until it is acknowledged, an acknowledgement until its checkpoint completed or was aborted. Split
// assignments reach a task in the order of their numbers, each once.
//
// A JobMaster that takes over finds here what its predecessor knew and no checkpoint holds: the assignments of readers since the
// last completed one, and finished tasks, which stay known as long as they are wanted.
//
// Non-obvious: a message to deploy may come late or twice, after the attempt was canceled or has ended and been
// acknowledged. Such attempts are remembered as gone, so that they don't start again.
package core
