// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"errors"
	"fmt"

	"github.com/weir-stream/weir/element"
)

// Credits is the default number of batches in flight on a channel.
const Credits = 4

// CreditsMax bounds the credit that a channel can be given.
const CreditsMax = 1024

var (
	// ErrClosed is returned by a Sender whose partition was released or whose consumer is gone: the attempt is being ended.
	ErrClosed = errors.New("exchange: channel closed")
	// ErrLost is wrapped by errors that a channel's other end, or the connection to it, went away or could not be found:
	// the task fails.
	ErrLost = errors.New("exchange: channel lost")
	// ErrCorrupt is wrapped by errors about frames that don't decode.
	ErrCorrupt = errors.New("exchange: corrupt frame")
)

// PartitionID names what one attempt of a subtask produces for one out edge of its vertex. A producer that restarts has
// another attempt, so that streams of the old one are refused.
type PartitionID struct {
	Attempt int64
	Edge    int
}

// String is the name in messages.
func (id PartitionID) String() string { return fmt.Sprintf("%d/%d", id.Attempt, id.Edge) }

// Sender is the producing end of one channel. It is used by the producing task only.
type Sender interface {
	// Send passes on a batch, or a control, or both: the control rides behind the batch. It takes over one hold on b.
	// With a batch it blocks until the channel has credit; a control alone never waits. ErrClosed when the channel ended.
	Send(b element.Any, c element.Control) error
	// Ready reports whether a batch could be sent without waiting.
	Ready() bool
}

// Event is what a Gate hands to its task. Batch may be nil; Control follows it. With Err, which wraps ErrLost, there is
// neither: the producer of the channel is lost, and the task fails.
type Event struct {
	// Channel counts over all channels of the gate; Input is the input of the operator that it belongs to.
	Channel, Input int
	Batch          element.Any
	Control        element.Control
	Err            error
}

// Output is the erased face of a Writer, which the task flushes and sends barriers through. Its typed face is an
// operator.Input, wired to the end of a chain.
type Output interface {
	// Flush sends all open builders on; called when the input runs idle, and at the latest after the buffer timeout.
	Flush() error
	// FlushTo sends on what is gathered for one consumer, by a channel that no other consumer's records take.
	FlushTo(consumer int) error
	// Pending reports whether an open builder holds rows.
	Pending() bool
	// Barrier flushes, then sends the barrier on all channels.
	Barrier(b element.CheckpointBarrier) error
	// Blocked is the total time, in nanoseconds, that the task has waited for credit here.
	Blocked() int64
}

// Partitioning says how the records of an edge find their channel.
type Partitioning uint8

const (
	// Forward connects subtask i to subtask i.
	Forward Partitioning = iota
	// Hash sends a record to the owner of the key group of its key.
	Hash
	// Rebalance deals records out in turn, a batch at a time.
	Rebalance
	// Shuffle picks a channel by the hash of a counter.
	Shuffle
	// Broadcast sends every record to all.
	Broadcast
	// Global sends every record to the first.
	Global
)

var partitioningNames = [...]string{"FORWARD", "HASH", "REBALANCE", "SHUFFLE", "BROADCAST", "GLOBAL"}

// String is the name in plans.
func (p Partitioning) String() string { return partitioningNames[p] }

// Serde encodes and decodes batches of one record type for channels between processes.
type Serde interface {
	// Append encodes the rows of b, their times and hashes.
	Append(dst []byte, b element.Any) ([]byte, error)
	// Decode fills a batch of the serde's pool with what Append made of the bytes of a frame. A batch whose strings lie in
	// the frame holds it. Errors wrap ErrCorrupt; no input panics.
	Decode(f *element.Frame) (element.Any, error)
	// Fingerprint is that of the record's schema; both ends of a channel compare it.
	Fingerprint() uint64
}
