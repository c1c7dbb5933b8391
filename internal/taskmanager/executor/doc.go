// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package executor runs the tasks of one job on one TaskManager.
//
//	messages --> core.Executor --> Start, Cancel, Trigger ... --> task.Task
//	         <--               <-- reporter                   <--
//
// All of its state belongs to the goroutine of its TaskManager's endpoint: what tasks report comes back as functions
// posted there. For each task one goroutine waits for its end; Stop ends the tasks and waits for all of them.
//
// Non-obvious: a task is reported to have ended only when its goroutines have, so that its successor never runs beside
// it.
package executor
