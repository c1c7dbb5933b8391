// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package statefile

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/statebackend"
)

var (
	// ErrFull says that the reserve of buffers is used up: the checkpoint is to be declined.
	ErrFull = errors.New("state file: the storage is too slow, all buffers are full")
	// ErrAborted is what the end of a file reports that was aborted.
	ErrAborted = errors.New("state file: aborted")
)

// File takes the bytes of a state file; one of Close and Abort ends it. storage.Writer is one.
type File interface {
	io.Writer
	Close() error
	Abort() error
}

// Options of a Builder; the zero value of a field is the default given.
type Options struct {
	// Buffers (4) of BufferBytes (1 MB) hold what is not yet written, besides one block that may be larger. A quarter of
	// them is the reserve.
	Buffers, BufferBytes int
	// InlineBytes is the size up to which a snapshot becomes no file (16 KB); negative for none.
	InlineBytes int
	// Compress has blocks compressed by zstd where that saves an eighth at least.
	Compress bool
}

func (o Options) withDefaults() Options {
	if o.Buffers == 0 {
		o.Buffers = 4
	}
	if o.BufferBytes == 0 {
		o.BufferBytes = 1 << 20
	}
	if o.InlineBytes == 0 {
		o.InlineBytes = 16 << 10
	}
	return o
}

// StateInfo is what a state says of its snapshot once it is written.
type StateInfo struct {
	Name   string
	Schema []byte
	// Base lists the checkpoints, oldest first, whose blocks precede.
	Base []int64
}

// OperatorStates are the states of one operator.
type OperatorStates struct {
	Operator checkpoint.OperatorID
	States   []StateInfo
}

// Written is what a file holds of one operator.
type Written struct {
	Operator checkpoint.OperatorID
	// Segment has neither path nor inline bytes if the operator wrote no block.
	Segment checkpoint.Segment
	States  []WrittenState
}

// WrittenState is one state of a segment.
type WrittenState struct {
	StateInfo
	// Kind is that of its blocks, 0 if there are none. Rows counts those of List blocks.
	Kind   statebackend.Kind
	Blocks int
	Rows   int64
}

// Builder writes one file. The methods of Builder and of its Writers belong to the task's goroutine and never block. One
// of Finish and Abort must be called.
type Builder struct {
	checkpoint int64
	path       string
	options    Options
	create     func() (File, error)

	// operators and states by number; the task's goroutine appends.
	operators []*Writer
	// current is the buffer being filled.
	current []byte

	// wg is of who waits for the writing goroutine.
	wg *sync.WaitGroup
	mu struct {
		sync.Mutex
		wake    sync.Cond
		started bool
		// queue holds full buffers, oldest first. held counts buffers that are full and not yet written, extra the bytes of
		// those that are larger than a buffer.
		queue       [][]byte
		held, extra int
		free        [][]byte
		last        *ending
		aborted     bool
		err         error
	}
}

// ending is the end of the file: what Finish was told.
type ending struct {
	operators []OperatorStates
	names     [][]string // of the states, by operator number and state number
	done      func([]Written, error)
}

// NewBuilder begins the file of a checkpoint; create is called on another goroutine, if there is anything to be put in.
func NewBuilder(id int64, path string, create func() (File, error), o Options) *Builder {
	b := &Builder{checkpoint: id, path: path, create: create, options: o.withDefaults(), wg: new(sync.WaitGroup)}
	b.mu.wake.L = &b.mu
	return b
}

// Writer takes the blocks of one operator.
type Writer struct {
	b      *Builder
	id     checkpoint.OperatorID
	number uint16
	states []string
}

var _ statebackend.Writer = (*Writer)(nil)

// Operator returns the writer of an operator, the same at each call.
func (b *Builder) Operator(id checkpoint.OperatorID) *Writer {
	for _, w := range b.operators {
		if w.id == id {
			return w
		}
	}
	w := &Writer{b: b, id: id, number: uint16(len(b.operators))}
	b.operators = append(b.operators, w)
	return w
}

// state returns the number of a state, which it gets at its first block.
func (w *Writer) state(name string) uint16 {
	for i, s := range w.states {
		if s == name {
			return uint16(i)
		}
	}
	w.states = append(w.states, name)
	return uint16(len(w.states) - 1)
}

// Room implements statebackend.Writer.
func (w *Writer) Room() bool { return w.b.room() }

// Write implements statebackend.Writer.
func (w *Writer) Write(k statebackend.Block) error {
	if len(k.Data) > blockBytesMax || k.Rows > math.MaxInt32 || k.KeyGroup < statebackend.NoKeyGroup || k.KeyGroup >= 1<<16 {
		return fmt.Errorf("state file: block of %d rows, %d bytes, key group %d", k.Rows, len(k.Data), k.KeyGroup)
	}
	h := blockHeader{
		stored: uint32(len(k.Data)), length: uint32(len(k.Data)), rows: uint32(k.Rows), keyGroup: int32(k.KeyGroup),
		operator: w.number, state: w.state(k.State), kind: k.Kind,
	}
	return w.b.add(&h, k.Data)
}

// firstBytes is what the first buffer begins with: most snapshots are small.
const firstBytes = 4 << 10

func (b *Builder) room() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.err == nil && b.freeLocked() >= b.reserve()
}

func (b *Builder) reserve() int { return b.options.Buffers * b.options.BufferBytes / 4 }

// freeLocked is how many bytes can be taken.
func (b *Builder) freeLocked() int {
	return (b.options.Buffers-b.mu.held)*b.options.BufferBytes - len(b.current) - b.mu.extra
}

// add appends a block to the current buffer, or to a new one.
func (b *Builder) add(h *blockHeader, data []byte) error {
	n := blockBytes + len(data)
	if len(b.current)+n > b.options.BufferBytes && len(b.current) > 0 {
		b.push(b.current)
		b.current = nil
	}
	if b.current == nil {
		if err := b.newBuffer(n); err != nil {
			return err
		}
	}
	at := len(b.current)
	b.current = append(b.current, make([]byte, blockBytes)...)
	h.put(b.current[at:])
	b.current = append(b.current, data...)
	if len(b.current) > b.options.BufferBytes {
		b.push(b.current)
		b.current = nil
	}
	return nil
}

// newBuffer makes the current buffer one that n bytes fit into. Of larger ones there may be one while there is room.
func (b *Builder) newBuffer(n int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	free := b.freeLocked()
	switch {
	case b.mu.err != nil:
		return b.mu.err
	case n > b.options.BufferBytes:
		if free < min(n, b.reserve()) {
			return ErrFull
		}
		b.current = make([]byte, 0, n)
	case free < n || b.mu.held >= b.options.Buffers:
		return ErrFull
	case len(b.mu.free) > 0:
		last := len(b.mu.free) - 1
		b.current, b.mu.free = b.mu.free[last], b.mu.free[:last]
	case b.mu.started:
		b.current = make([]byte, 0, b.options.BufferBytes)
	default:
		b.current = make([]byte, 0, max(n, min(firstBytes, b.options.BufferBytes)))
	}
	return nil
}

// push hands a buffer to the writing goroutine, which it starts for the first.
func (b *Builder) push(buffer []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.queue = append(b.mu.queue, buffer)
	if len(buffer) > b.options.BufferBytes {
		b.mu.extra += len(buffer)
	} else {
		b.mu.held++
	}
	b.startLocked()
}

func (b *Builder) startLocked() {
	if !b.mu.started {
		b.mu.started = true
		b.wg.Go(b.write)
	}
	b.mu.wake.Signal()
}

// Finish ends the file: done is called once, on another goroutine, with what it holds of each of the operators.
func (b *Builder) Finish(operators []OperatorStates, done func([]Written, error)) {
	end := &ending{operators: operators, done: done}
	for _, op := range operators {
		b.Operator(op.Operator)
	}
	for _, w := range b.operators {
		end.names = append(end.names, w.states)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.current) > 0 {
		b.mu.queue = append(b.mu.queue, b.current)
		b.mu.held++
		b.current = nil
	}
	b.mu.last = end
	b.startLocked()
}

// Abort discards the file, before or after Finish, whose done is then called with ErrAborted unless it was called.
func (b *Builder) Abort() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.aborted = true
	if b.mu.started {
		b.mu.wake.Signal()
	}
}

// Wait returns when the writing goroutine has ended, after Finish or Abort.
func (b *Builder) Wait() { b.wg.Wait() }
