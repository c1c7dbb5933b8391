// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package statebackend is the contract between pieces of operator state and the task that snapshots and restores them.
//
// A snapshot never stops the task: Begin fixes what belongs to it in constant time, Step encodes a slice of rows between
// two batches, and state that is changed meanwhile is encoded before its first change. What a State writes are blocks:
// rows of one key group in the columnar form of internal/codec.
//
//	barrier -> Begin(cp)            < 1 ms, no copy
//	batch, Step, batch, Step ...    rows in slices, oldest version first touched first written
//	Step -> done                    the task closes the file and acknowledges
//	Completed(cp) or Aborted(cp)    rows written are clean, or stay dirty
package statebackend

import (
	"fmt"
	"iter"

	"github.com/weir-stream/weir/element"
)

// Checkpoint is one that a State takes part in.
type Checkpoint struct {
	ID    int64
	Flags element.BarrierFlags
}

// Savepoint reports whether full, canonical state is asked for that changes nothing about later increments.
func (c Checkpoint) Savepoint() bool { return c.Flags.Has(element.Savepoint) }

// Full reports whether the checkpoint must build on no earlier one.
func (c Checkpoint) Full() bool {
	return c.Flags.Has(element.Full) || c.Flags.Has(element.Savepoint)
}

// Kind says how the rows of a block are dealt out on a restore.
type Kind uint8

const (
	// Keyed rows go to the owner of their key group.
	Keyed Kind = iota + 1
	// Deleted rows are tombstones: keys only, of rows that an older block of the same chain may hold.
	Deleted
	// List rows belong to a subtask; on rescaling they are dealt out evenly, in order.
	List
	// Union rows go to every subtask.
	Union
)

// NoKeyGroup is the key group of blocks that are not keyed.
const NoKeyGroup = -1

// Block is rows of one state and key group. Data is borrowed for the call that hands it over.
type Block struct {
	State    string
	Kind     Kind
	KeyGroup int
	Rows     int
	Data     []byte
}

// Writer takes the blocks of one snapshot of one operator. It never blocks.
type Writer interface {
	// Room reports whether a block can be taken now; if not, the State goes on with its work and Step is called later.
	// After it said yes, the next Write is not refused for want of room, however large its block.
	Room() bool
	// Write copies b.
	Write(b Block) error
}

// Reader gives back what Writers took, for the operator that restores.
type Reader interface {
	// Schema returns the stored schema of a state, as the State declared it, or nil if the checkpoint has no such state.
	Schema(state string) []byte
	// Blocks yields the blocks of a state that concern this subtask, older before newer: for Keyed and Deleted those of
	// its key groups, for Union all, for List all too: ListShare says which rows are this subtask's.
	Blocks(state string) iter.Seq2[Block, error]
	// ListShare returns the half-open range of the rows of all List blocks of a state, in the order of Blocks, that this
	// subtask takes.
	ListShare(state string) (from, to int, err error)
}

// State is one named piece of the state of an operator. All calls come from the task's goroutine.
type State interface {
	// Name is unique within the operator and stable.
	Name() string
	// Schema describes the rows, as codec.Schema encodes itself; it is stored with the state.
	Schema() []byte
	// Begin starts the snapshot of cp: what was written before the call belongs to it, what comes after doesn't. It is
	// called while no other snapshot is running.
	Begin(cp Checkpoint) error
	// Step encodes up to about rows rows into w, fewer when w has no room, and reports whether all is written. An
	// error declines the checkpoint, it doesn't fail the task; Aborted follows.
	Step(w Writer, rows int) (done bool, err error)
	// Crowded reports whether the snapshot that runs holds back so many rows that were changed before their turn that
	// no more should be changed until Step has written some of them. Beyond twice as many the snapshot is given up: Step
	// fails.
	Crowded() bool
	// Base lists the checkpoints, oldest first, whose blocks precede those of the snapshot that Step completed last:
	// empty for a full one.
	Base() []int64
	// Completed and Aborted end what Begin began. After Aborted the rows written are dirty still.
	Completed(checkpoint int64) error
	Aborted(checkpoint int64) error
	// Restore loads what belongs to the subtask; called once, before anything else.
	Restore(r Reader) error
	// Size is the number of rows, and of bytes that they occupy in memory.
	Size() Size
}

// Size is how much a State holds.
type Size struct{ Rows, Bytes int64 }

// Spec declares a State when the graph is built, to be compared with a checkpoint before the job starts.
type Spec struct {
	Name   string
	Kind   Kind
	Schema []byte
}

// KeyGroupRange is First..Last, inclusive; the empty range has First > Last.
type KeyGroupRange struct{ First, Last int }

// Contains reports whether the range has the group.
func (r KeyGroupRange) Contains(group int) bool { return r.First <= group && group <= r.Last }

// Len is the number of groups.
func (r KeyGroupRange) Len() int { return max(0, r.Last-r.First+1) }

// String formats the range for messages.
func (r KeyGroupRange) String() string { return fmt.Sprintf("[%d, %d]", r.First, r.Last) }

// KeyGroupsOf is the range of subtask i of parallelism: [ceil(i*groups/parallelism), ceil((i+1)*groups/parallelism)-1].
func KeyGroupsOf(groups, parallelism, subtask int) KeyGroupRange {
	first := (subtask*groups + parallelism - 1) / parallelism
	last := ((subtask+1)*groups+parallelism-1)/parallelism - 1
	return KeyGroupRange{first, last}
}
