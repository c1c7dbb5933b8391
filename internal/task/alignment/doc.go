// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package alignment decides when the barrier of a checkpoint has come from all channels of a task. It is a pure core:
// the task tells it what came by which channel and does what it answers.
//
//	channel 0  --a--a--|5|--b--b--      blocked behind its barrier until all have come, so that no b
//	channel 1  --a--a--a--a--|5|--b     is counted among the records before checkpoint 5
//	channel 2  --a--end                 ended channels are waited for no longer
//
// With at-least-once barriers no channel is blocked: records behind the barrier of a fast channel become part of the
// checkpoint and come again after a restore.
//
// A channel that brings a newer barrier without the older one will never bring that: its producer gave the older
// checkpoint up. So the older is canceled, and the task declines it. Since blocked channels bring nothing, at most one
// exactly-once checkpoint is aligned at a time; of at-least-once ones several may be.
//
// Non-obvious: a checkpoint can be triggered at the task itself when its producers have finished. Their last records may
// still be queued then, so it waits for the end of each channel, as if that were its barrier.
package alignment
