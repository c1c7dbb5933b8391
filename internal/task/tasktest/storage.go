// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package tasktest helps tests of tasks: it keeps their snapshots in memory.
package tasktest

import (
	"slices"
	"sync"

	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/task"
)

// Storage keeps the snapshots of all tasks of a job. The zero Storage is empty.
type Storage struct {
	// Fault, if set, is asked before a file ends; what it returns declines the checkpoint.
	Fault func(checkpoint int64, subtask int) error
	// Room, if set, tells whether files of a checkpoint take blocks now. When what it tells changes, call Roomy.
	Room func(checkpoint int64) bool

	writing sync.WaitGroup
	mu      struct {
		sync.Mutex
		operators map[string]*statebackend.Memory
		// roomy are of all snapshots that were begun.
		roomy []func()
	}
}

// Roomy tells all snapshots that there may be room.
func (s *Storage) Roomy() {
	s.mu.Lock()
	all := slices.Clone(s.mu.roomy)
	s.mu.Unlock()
	for _, f := range all {
		f()
	}
}

// Subtask names a task for Task.
type Subtask struct{ Index, Parallelism, MaxParallelism int }

// Task returns the storage of one task, which restores a checkpoint unless that is zero.
func (s *Storage) Task(of Subtask, restore int64) task.StateStorage { return &view{s, of, restore} }

// Finished says that a task had finished before a checkpoint: its operators have no state in it.
func (s *Storage) Finished(of Subtask, checkpoint int64, operatorIDs ...string) {
	for _, id := range operatorIDs {
		if m := s.operator(id, 0); m != nil {
			m.Writer(checkpoint, of.Parallelism, of.Index)
		}
	}
}

// Wait returns when no file is being ended.
func (s *Storage) Wait() { s.writing.Wait() }

func (s *Storage) operator(id string, groups int) *statebackend.Memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.operators == nil {
		s.mu.operators = map[string]*statebackend.Memory{}
	}
	m := s.mu.operators[id]
	if m == nil && groups > 0 {
		m = statebackend.NewMemory(groups)
		s.mu.operators[id] = m
	}
	return m
}

type view struct {
	storage *Storage
	of      Subtask
	restore int64
}

// Restored implements task.StateStorage.
func (v *view) Restored(operatorID string, subtask, parallelism, _ int) (statebackend.Reader, error) {
	m := v.storage.operator(operatorID, 0)
	if v.restore == 0 || m == nil {
		return nil, nil
	}
	return m.Reader(v.restore, parallelism, subtask)
}

// Begin implements task.StateStorage.
func (v *view) Begin(cp statebackend.Checkpoint, roomy func()) (task.Snapshot, error) {
	v.storage.mu.Lock()
	defer v.storage.mu.Unlock()
	v.storage.mu.roomy = append(v.storage.mu.roomy, roomy)
	return &snapshot{view: v, cp: cp, writers: map[string]*statebackend.MemoryWriter{}}, nil
}

type snapshot struct {
	*view
	cp      statebackend.Checkpoint
	writers map[string]*statebackend.MemoryWriter
}

// Operator implements task.Snapshot.
func (s *snapshot) Operator(id string) statebackend.Writer {
	w := s.writers[id]
	if w == nil {
		w = s.storage.operator(id, s.of.MaxParallelism).Writer(s.cp.ID, s.of.Parallelism, s.of.Index)
		s.writers[id] = w
	}
	w.Full = s.storage.Room != nil && !s.storage.Room(s.cp.ID)
	return w
}

// Finish implements task.Snapshot.
func (s *snapshot) Finish(states []task.OperatorStates, done func(state []byte, bytes int64, err error)) {
	for _, o := range states {
		for _, state := range o.States {
			s.writers[o.OperatorID].Done(described{info: state})
		}
	}
	s.storage.writing.Go(func() {
		if s.storage.Fault != nil {
			if err := s.storage.Fault(s.cp.ID, s.of.Index); err != nil {
				done(nil, 0, err)
				return
			}
		}
		done([]byte("in memory"), 1, nil)
	})
}

// Abort implements task.Snapshot.
func (s *snapshot) Abort() {}

// described is what MemoryWriter wants to know of a state.
type described struct {
	statebackend.State
	info task.StateInfo
}

func (d described) Name() string   { return d.info.Name }
func (d described) Schema() []byte { return d.info.Schema }
func (d described) Base() []int64  { return d.info.Base }
