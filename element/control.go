// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package element

import (
	"fmt"
	"math"
)

// Watermarks are event times in Unix nanoseconds. MaxWatermark is the end of time: all windows and event timers fire.
// It comes from sources whose input ended or that were drained, never from a plain stop.
const (
	MinWatermark = math.MinInt64
	MaxWatermark = math.MaxInt64
)

// Kind tells the kinds of Control apart.
type Kind uint8

const (
	// None is the zero Control: nothing follows the batch.
	None Kind = iota
	// Watermark promises that no record at or before At follows, but late ones.
	Watermark
	// Barrier separates the records before a checkpoint from those after it.
	Barrier
	// Idle says that an input went idle and leaves the minimum of watermarks, until Active.
	Idle
	// Active says that an idle input is back.
	Active
	// EndOfInput is the last of a bounded or stopped input.
	EndOfInput
)

var kindNames = [...]string{"none", "watermark", "barrier", "idle", "active", "end-of-input"}

// String names the kind.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Control closes a batch and rides behind it, never inside.
type Control struct {
	Kind Kind
	// At is the time of a Watermark.
	At int64
	// Checkpoint is that of a Barrier.
	Checkpoint CheckpointBarrier
}

// CheckpointBarrier is what a barrier says of its checkpoint.
type CheckpointBarrier struct {
	ID int64
	// Flags say how the checkpoint is taken; they travel with the barrier, so that all tasks agree.
	Flags BarrierFlags
}

// BarrierFlags is a set of bits.
type BarrierFlags uint8

const (
	// Savepoint barriers ask for full, canonical state.
	Savepoint BarrierFlags = 1 << iota
	// AtLeastOnce barriers don't block the channels that they came by.
	AtLeastOnce
	// Terminal barriers are the last thing before a stop with savepoint: tasks end once it completed.
	Terminal
	// Full barriers ask for a checkpoint that builds on no earlier one.
	Full
	// Drain is set beside Terminal where sources send the end of time before the barrier.
	Drain
)

// Has reports whether all bits of x are set.
func (f BarrierFlags) Has(x BarrierFlags) bool { return f&x == x }
