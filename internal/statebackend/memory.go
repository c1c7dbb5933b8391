// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package statebackend

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"sync"
)

// Memory keeps the snapshots of one operator's subtasks in memory, for tests and harnesses: checkpoints in a chain, to
// be restored at any parallelism. It may be used by several subtasks at once.
type Memory struct {
	groups int

	mu struct {
		sync.Mutex
		checkpoints map[int64]*memoryCheckpoint
	}
}

// memoryCheckpoint is what the subtasks of one parallelism wrote.
type memoryCheckpoint struct {
	subtasks []*MemoryWriter
}

// NewMemory makes an empty store for an operator with that many key groups.
func NewMemory(groups int) *Memory {
	m := &Memory{groups: groups}
	m.mu.checkpoints = map[int64]*memoryCheckpoint{}
	return m
}

// Writer begins the snapshot of one subtask, in place of an earlier one of the same checkpoint.
func (m *Memory) Writer(checkpoint int64, parallelism, subtask int) *MemoryWriter {
	w := &MemoryWriter{states: map[string]*memoryState{}}
	m.mu.Lock()
	defer m.mu.Unlock()
	cp := m.mu.checkpoints[checkpoint]
	if cp == nil {
		cp = &memoryCheckpoint{subtasks: make([]*MemoryWriter, parallelism)}
		m.mu.checkpoints[checkpoint] = cp
	}
	cp.subtasks[subtask] = w
	return w
}

// Take runs a whole snapshot of the states of one subtask: Begin of each, then Step until all is written. On an error
// the states are told that the checkpoint was aborted.
func (m *Memory) Take(cp Checkpoint, parallelism, subtask int, states ...State) error {
	w := m.Writer(cp.ID, parallelism, subtask)
	err := take(cp, w, states)
	for _, s := range states {
		if err != nil {
			_ = s.Aborted(cp.ID) // the first error says more
		}
	}
	return err
}

func take(cp Checkpoint, w *MemoryWriter, states []State) error {
	for _, s := range states {
		if err := s.Begin(cp); err != nil {
			return fmt.Errorf("begin checkpoint %d of state %s: %w", cp.ID, s.Name(), err)
		}
	}
	for _, s := range states {
		for done := false; !done; {
			var err error
			if done, err = s.Step(w, takeRows); err != nil {
				return fmt.Errorf("checkpoint %d of state %s: %w", cp.ID, s.Name(), err)
			}
		}
		w.Done(s)
	}
	return nil
}

// takeRows is the slice in which Take steps through the rows.
const takeRows = 1024

// Reader reads what a subtask of a new parallelism restores from a checkpoint.
func (m *Memory) Reader(checkpoint int64, parallelism, subtask int) (*MemoryReader, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cp := m.mu.checkpoints[checkpoint]
	if cp == nil || slices.Contains(cp.subtasks, nil) {
		return nil, fmt.Errorf("checkpoint %d is not there, or lacks a subtask", checkpoint)
	}
	return &MemoryReader{
		store: m, id: checkpoint, cp: cp, parallelism: parallelism, subtask: subtask,
		groups: KeyGroupsOf(m.groups, parallelism, subtask),
	}, nil
}

// find returns what a subtask wrote for a checkpoint.
func (m *Memory) find(checkpoint int64, subtask int) (*MemoryWriter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cp := m.mu.checkpoints[checkpoint]
	if cp == nil || subtask >= len(cp.subtasks) || cp.subtasks[subtask] == nil {
		return nil, fmt.Errorf("checkpoint %d of subtask %d is not there", checkpoint, subtask)
	}
	return cp.subtasks[subtask], nil
}

// MemoryWriter is the snapshot of one subtask.
type MemoryWriter struct {
	// Full makes Room report that there is none.
	Full bool

	states map[string]*memoryState
}

type memoryState struct {
	schema []byte
	base   []int64
	blocks []Block
}

// Room implements Writer.
func (w *MemoryWriter) Room() bool { return !w.Full }

// Write implements Writer.
func (w *MemoryWriter) Write(b Block) error {
	b.Data = bytes.Clone(b.Data)
	s := w.state(b.State)
	s.blocks = append(s.blocks, b)
	return nil
}

// Done takes over the schema and the base of a state whose Step was done.
func (w *MemoryWriter) Done(s State) {
	st := w.state(s.Name())
	st.schema = slices.Clone(s.Schema())
	st.base = slices.Clone(s.Base())
}

// Blocks returns what was written of a state.
func (w *MemoryWriter) Blocks(state string) []Block {
	if s := w.states[state]; s != nil {
		return s.blocks
	}
	return nil
}

func (w *MemoryWriter) state(name string) *memoryState {
	s := w.states[name]
	if s == nil {
		s = &memoryState{}
		w.states[name] = s
	}
	return s
}

// MemoryReader gives one subtask of the new parallelism what is its.
type MemoryReader struct {
	store                *Memory
	id                   int64
	cp                   *memoryCheckpoint
	parallelism, subtask int
	groups               KeyGroupRange
}

// Schema implements Reader.
func (r *MemoryReader) Schema(state string) []byte {
	for _, w := range r.cp.subtasks {
		if s := w.states[state]; s != nil {
			return s.schema
		}
	}
	return nil
}

// Blocks implements Reader.
func (r *MemoryReader) Blocks(state string) iter.Seq2[Block, error] {
	return func(yield func(Block, error) bool) {
		for old, w := range r.cp.subtasks {
			s := w.states[state]
			if s == nil {
				continue
			}
			for _, id := range append(slices.Clone(s.base), r.id) {
				from, err := r.store.find(id, old)
				if err != nil {
					yield(Block{}, fmt.Errorf("base of checkpoint %d: %w", r.id, err))
					return
				}
				for _, b := range from.Blocks(state) {
					if Wants(b, r.groups) && !yield(b, nil) {
						return
					}
				}
			}
		}
	}
}

// ListShare implements Reader.
func (r *MemoryReader) ListShare(state string) (from, to int, err error) {
	counts := make([]int, len(r.cp.subtasks))
	for old, w := range r.cp.subtasks {
		if s := w.states[state]; s != nil {
			for _, b := range s.blocks {
				counts[old] += b.Rows
			}
		}
	}
	from, to = ListShareOf(counts, r.parallelism, r.subtask)
	return from, to, nil
}

var (
	_ Writer = (*MemoryWriter)(nil)
	_ Reader = (*MemoryReader)(nil)
)
