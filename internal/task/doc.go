// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package task runs one subtask: one goroutine that owns a chain of operators, their state and their timers.
//
//	             Trigger, Assign, notices     Wake, timers
//	                        |                      |
//	                     mailbox <-----------------+
//	                        |
//	Gate --batch, control--> loop --> alignment, watermarks --> chain of operators --> Writers --> channels
//	                        |
//	                        +-- slices of the running snapshot --> StateStorage --> Reporter
//
// Each turn of the loop takes the mails, then one event of the gate, or polls the source, then perhaps takes a step of the
// snapshot. When there is nothing, open batches are flushed and the goroutine waits; nothing spins. The operators are
// called by that goroutine alone, so neither they nor user functions need a lock.
//
//	Initializing --> Running --> Finished            all input ended, output committed
//	      |             +------> Failed              the first error or panic; later ones follow from it
//	      +-------------+------> Canceling --> Canceled
//
// Non-obvious: partitions and gate are released only after the failure was reported, so that neighbours, whose channels
// break then, don't report first. For the same reason a task whose consumer is gone waits a while for its own
// cancellation. A task whose input has ended does not end before its running snapshot is written: the checkpoint would be
// lost with it.
package task
