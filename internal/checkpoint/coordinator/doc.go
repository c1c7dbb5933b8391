// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package coordinator decides when checkpoints are taken and what becomes of them. It is a pure core: events and the time
// go in, actions come out; the JobMaster drives it and carries out what it says.
//
//	trigger --> SnapshotEnumerators --> EnumeratorsSnapshotted --> Trigger (heads) --> Ack of every task
//	        --> WriteMetadata --> MetadataWritten --> Claim --> Claimed --> NotifyCompleted
//	        --> Commit --> Committed --> NotifyCommitted
//
//	           +------------+  ack of all  +---------+  stored  +----------+  won  +----------+
//	trigger -> | snapshot,  | -----------> | writing | -------> | claiming | ----> | complete |
//	           | collecting |              +---------+          +----------+       +----------+
//	           +------------+                   |                    | lost
//	                  | decline, time, failure  | error              v
//	                  +-------------------------+----> aborted    deposed
//
// Invariants:
//
//   - Every checkpoint that is triggered ends complete or aborted, and no id is used twice.
//   - At most Settings.Concurrent are open.
//   - Once metadata is being stored, failures of tasks don't abort the checkpoint: all that belongs to it is durable. Once
//     it is being claimed, nothing but the answer of the store decides.
//   - Committables are committed only after their checkpoint was claimed, one checkpoint at a time, ids ascending. A sink
//     hands out all that it doesn't know to be committed, so of several complete checkpoints the newest is enough.
//   - A state file is deleted only when no retained and no open checkpoint refers to it, nor one that was triggered before
//     it was dropped: such a one may build on it.
//
// A task reports that it ended (all input read, output not yet committed) or finished. Neither sends barriers any more,
// so a checkpoint is triggered at all tasks that have no other producers: sources first of all, later what is behind
// them. There it takes effect when all input is read. A task that ends while a checkpoint waits for it aborts that, and
// it is triggered again at once: its consumers may have seen the end instead of the barrier, and what a source read last
// may be unknown to its enumerator's snapshot. When all tasks have ended, the final checkpoint commits the tail.
//
// Non-obvious: a task that missed the notice of a complete checkpoint may build on state files that are gone since. Its
// acknowledgement is then refused, the notice of abortion names the newest complete checkpoint, and the next one is
// full.
package coordinator
