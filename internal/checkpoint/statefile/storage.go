// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package statefile

import (
	"fmt"
	"slices"
	"sync"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/statebackend"
)

// Storage is where one attempt of a task writes its snapshots and reads the state that it starts from. Its methods belong
// to the task's goroutine, but for Wait.
type Storage struct {
	config   Config
	builders sync.WaitGroup
	mu       struct {
		sync.Mutex
		// segments are what this attempt wrote, by checkpoint.
		segments map[int64][]Written
	}
}

// Config is what a Storage is made of.
type Config struct {
	// Restore is the checkpoint to start from, nil on a fresh start.
	Restore *checkpoint.Metadata
	// Open opens a state file by its path in metadata. Create begins one; Name makes its path from a checkpoint.
	Open    func(path string) (Object, error)
	Create  func(path string) (File, error)
	Name    func(checkpoint int64) string
	Options Options
}

// segmentsMax bounds how many checkpoints of an attempt are remembered. An increment builds on far younger ones.
const segmentsMax = 1024

// NewStorage makes the storage of one attempt.
func NewStorage(c Config) *Storage {
	s := &Storage{config: c}
	s.mu.segments = map[int64][]Written{}
	return s
}

// Restored returns what a subtask takes of an operator's state, nil if there is none.
func (s *Storage) Restored(id checkpoint.OperatorID, share Share) (statebackend.Reader, error) {
	if s.config.Restore == nil {
		return nil, nil
	}
	op := s.config.Restore.Operator(id)
	if op == nil {
		return nil, nil
	}
	return NewReader(op, share, s.config.Open)
}

// Snapshot is the file of one checkpoint of the task.
type Snapshot struct {
	s *Storage
	b *Builder
}

// Begin begins a snapshot. It does no I/O. roomy, if set, is Target.Roomy.
func (s *Storage) Begin(id int64, roomy func()) *Snapshot {
	path := s.config.Name(id)
	create := func() (File, error) { return s.config.Create(path) }
	b := NewBuilder(Target{Checkpoint: id, Path: path, Create: create, Roomy: roomy}, s.config.Options)
	b.wg = &s.builders
	return &Snapshot{s: s, b: b}
}

// Operator returns the writer of an operator.
func (x *Snapshot) Operator(id checkpoint.OperatorID) statebackend.Writer { return x.b.Operator(id) }

// Finish ends the file; done is called once, from another goroutine, with the state for the acknowledgement, to be encoded
// by checkpoint.EncodeTaskState, and the bytes that were written.
func (x *Snapshot) Finish(states []OperatorStates, done func(state []checkpoint.OperatorState, bytes int64, err error)) {
	x.b.Finish(states, func(written []Written, err error) {
		if err != nil {
			done(nil, 0, err)
			return
		}
		handles, bytes, err := x.s.remember(x.b.checkpoint, written)
		done(handles, bytes, err)
	})
}

// Abort discards the file, before or after Finish.
func (x *Snapshot) Abort() { x.b.Abort() }

// Wait returns when the files of all snapshots that were finished or aborted are closed or gone.
func (s *Storage) Wait() { s.builders.Wait() }

// remember notes what a checkpoint wrote, and returns the handles made of that and of what it builds on.
func (s *Storage) remember(id int64, written []Written) ([]checkpoint.OperatorState, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.segments[id] = written
	if len(s.mu.segments) > segmentsMax {
		oldest := id
		for k := range s.mu.segments {
			oldest = min(oldest, k)
		}
		delete(s.mu.segments, oldest)
	}
	var bytes int64
	states := make([]checkpoint.OperatorState, 0, len(written))
	for i := range written {
		bytes += written[i].Segment.Bytes
		h, err := s.handleLocked(id, &written[i])
		if err != nil {
			return nil, 0, fmt.Errorf("checkpoint %d of operator %s: %w", id, written[i].Operator, err)
		}
		states = append(states, checkpoint.OperatorState{Operator: written[i].Operator, State: h})
	}
	return states, bytes, nil
}

// handleLocked joins what an operator wrote now to the segments of earlier checkpoints that its states build on.
func (s *Storage) handleLocked(id int64, w *Written) (checkpoint.StateHandle, error) {
	var ids []int64
	for i := range w.States {
		ids = append(ids, w.States[i].Base...)
	}
	ids = append(ids, id)
	slices.Sort(ids)
	ids = slices.Compact(ids)

	var h checkpoint.StateHandle
	place := map[int64]int{} // of a checkpoint's segment in the handle
	for _, k := range ids {
		o := s.ofLocked(k, w.Operator)
		if o == nil {
			return h, fmt.Errorf("it builds on checkpoint %d, which this attempt has not written", k)
		}
		if o.Segment.Bytes > 0 {
			place[k] = len(h.Segments)
			h.Segments = append(h.Segments, o.Segment)
		}
	}
	for i := range w.States {
		st := &w.States[i]
		out := checkpoint.State{Name: st.Name, Schema: st.Schema}
		for _, k := range append(slices.Clone(st.Base), id) {
			in := s.ofLocked(k, w.Operator).state(st.Name)
			if in == nil || in.Blocks == 0 {
				continue
			}
			out.Segments = append(out.Segments, place[k])
			out.Rows += in.Rows
			out.Kind = in.Kind
		}
		h.States = append(h.States, out)
	}
	return h, nil
}

func (s *Storage) ofLocked(id int64, op checkpoint.OperatorID) *Written {
	all := s.mu.segments[id]
	i := slices.IndexFunc(all, func(w Written) bool { return w.Operator == op })
	if i < 0 {
		return nil
	}
	return &all[i]
}

func (w *Written) state(name string) *WrittenState {
	i := slices.IndexFunc(w.States, func(s WrittenState) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &w.States[i]
}
