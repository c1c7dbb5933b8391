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
	// ErrFull says that a block came although there was no room for it.
	ErrFull = errors.New("state file: all buffers are full")
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
	// Buffers (4, at least 2) of BufferBytes (1 MB) hold what is not yet written, and besides no more than one block, if
	// that is larger.
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
	// roomy is called on the writing goroutine when Room may say yes again after it said no.
	roomy func()

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
		// queue holds full buffers, oldest first; held counts those and the one that is being written, bytes what they hold.
		queue       [][]byte
		held, bytes int
		free        [][]byte
		// refused is set once Room has said no, until roomy is called for it.
		refused bool
		last    *ending
		aborted bool
		err     error
	}
}

// ending is the end of the file: what Finish was told.
type ending struct {
	operators []OperatorStates
	names     [][]string // of the states, by operator number and state number
	done      func([]Written, error)
}

// Target is the file that a Builder makes.
type Target struct {
	Checkpoint int64
	Path       string
	// Create begins it. It is called on another goroutine, if there is anything to be put in.
	Create func() (File, error)
	// Roomy, if set, is called once for each time that Room turns to no, when it is worth to ask again: a buffer was written,
	// or the file is lost and Write says why. It is called on another goroutine and must not block.
	Roomy func()
}

// NewBuilder begins the file of a checkpoint.
func NewBuilder(to Target, o Options) *Builder {
	b := &Builder{
		checkpoint: to.Checkpoint, path: to.Path, create: to.Create, roomy: to.Roomy, options: o.withDefaults(),
		wg: new(sync.WaitGroup),
	}
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

// room reports whether a block of any size can be taken, or Write has to say why not. The buffer that is being filled
// may have no space left for it, so there must be another one.
func (b *Builder) room() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.err != nil {
		return true
	}
	taken := b.mu.held
	if b.current != nil {
		taken++
	}
	b.mu.refused = taken >= b.options.Buffers || b.mu.bytes >= b.options.Buffers*b.options.BufferBytes
	return !b.mu.refused
}

// add appends a block to the current buffer, or to a new one.
func (b *Builder) add(h *blockHeader, data []byte) error {
	if err := b.lost(); err != nil {
		return err
	}
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

// lost returns why nothing is written any more.
func (b *Builder) lost() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.err
}

// newBuffer makes the current buffer one that n bytes fit into.
func (b *Builder) newBuffer(n int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.mu.held >= b.options.Buffers:
		return ErrFull
	case n > b.options.BufferBytes:
		b.current = make([]byte, 0, n)
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
	b.pushLocked(buffer)
	b.startLocked()
}

func (b *Builder) pushLocked(buffer []byte) {
	b.mu.queue = append(b.mu.queue, buffer)
	b.mu.held++
	b.mu.bytes += len(buffer)
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
		b.pushLocked(b.current)
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
