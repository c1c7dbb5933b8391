// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package task runs one subtask: one goroutine that owns a chain of operators, their state and their timers.
//
//	Gate --batch, control--> alignment, watermarks --> chain of operators --> Writers --> channels
//	mailbox: triggers, notices, splits, ticks, snapshot steps
package task
