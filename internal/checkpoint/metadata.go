// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/statebackend"
)

// OperatorID names an operator across changes of the program; it is derived from the uid.
type OperatorID string

// Kind says what a checkpoint was taken for, and so what a recovery does with it.
type Kind uint8

const (
	// Periodic checkpoints are taken while the job runs; recovery goes on from the newest.
	Periodic Kind = iota + 1
	// Savepoint is the user's: it commits nothing and recovery never uses it.
	Savepoint
	// Final is taken when all sources have ended: recovery replays its commits and ends the job as FINISHED.
	Final
	// Terminal is a stop with savepoint, which is also in the job's own store: recovery replays its commits and ends the
	// job.
	Terminal
	// Suspend is the last one before the job lets go; recovery goes on from it.
	Suspend
)

var kindNames = [...]string{Periodic: "checkpoint", Savepoint: "savepoint", Final: "final", Terminal: "terminal", Suspend: "suspend"}

// String names the kind.
func (k Kind) String() string {
	if k.valid() {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

func (k Kind) valid() bool { return k >= Periodic && k <= Suspend }

// Recoverable reports whether a recovery may use a completed checkpoint of the kind.
func (k Kind) Recoverable() bool { return k.valid() && k != Savepoint }

// EndsJob reports whether a completed checkpoint of the kind leaves nothing to run: only its commits are to be done.
func (k Kind) EndsJob() bool { return k == Final || k == Terminal }

// Metadata is one checkpoint of one job.
type Metadata struct {
	JobID, JobName string
	ID             int64
	// Epoch is that of the JobMaster that triggered it.
	Epoch   int64
	Kind    Kind
	Trigger time.Time
	// Fingerprint is that of the job graph; a restore into another graph goes by OperatorID.
	Fingerprint uint64
	// Operators are in the order of the graph, each id once.
	Operators []Operator
	// History is nil in checkpoints of versions that wrote none.
	History *History
}

// History is what the job had been through when the checkpoint was taken, under all its JobMasters. It is for people: nothing
// is decided by it.
type History struct {
	// Total counts the checkpoints that were triggered, Completed those that completed, this one included, and Restored the
	// restores from one.
	Total, Completed, Restored int64
	// Restarts counts the restarts after failures. Attempts has, for each vertex of the job graph, the highest number of an
	// attempt of its subtasks, from 0.
	Restarts int64
	Attempts []int64
	// Acknowledged is when the last task acknowledged the checkpoint.
	Acknowledged time.Time
}

// Operator is the state of an operator.
type Operator struct {
	ID                          OperatorID
	UID, Name                   string
	Parallelism, MaxParallelism int
	// Enumerator is set for sources.
	Enumerator *Enumerator
	// Subtasks has Parallelism elements, by index.
	Subtasks []Subtask
}

// Finished reports whether no subtask has anything left to do.
func (o *Operator) Finished() bool {
	return !slices.ContainsFunc(o.Subtasks, func(s Subtask) bool { return !s.Finished })
}

// Enumerator is the state of a split enumerator.
type Enumerator struct {
	State []byte
	// Assigned holds for each reader the number of its last assignment that State knows of: the reader's own state holds
	// the splits of exactly those.
	Assigned []int64
}

// Subtask is the state of an operator in one subtask.
type Subtask struct {
	// Finished subtasks had ended before the checkpoint and have no state.
	Finished bool
	State    StateHandle
	// Committables are what a sink prepared and the committer is to commit once the checkpoint is complete.
	Committables []byte
}

// StateHandle tells where the state of one operator of one subtask is.
type StateHandle struct {
	// Segments are oldest first; all but the last belong to earlier checkpoints.
	Segments []Segment
	States   []State
}

// Segment is what one checkpoint wrote of an operator: its part of a state file.
type Segment struct {
	// Checkpoint wrote it.
	Checkpoint int64
	// Path is relative to the directory of the run or savepoint, or absolute where the file is another's; empty if the
	// file is so small that it is Inline.
	Path   string
	Inline []byte
	// Size is that of the file, Bytes what it holds of the operator.
	Size, Bytes int64
	// Checksum is that of the file's index, which in turn holds those of the blocks.
	Checksum uint32
}

// State is one named piece of an operator's state.
type State struct {
	Name string
	// Kind is Keyed, List or Union, or 0 if it has no rows.
	Kind   statebackend.Kind
	Schema []byte
	// Segments are the indexes, ascending, of those in the handle whose blocks of this name count.
	Segments []int
	// Rows is the number of rows in List blocks, by which they are dealt out.
	Rows int64
}

// Bytes is the size of all segments, Added that of those which the given checkpoint wrote.
func (h *StateHandle) Bytes() (n int64) {
	for i := range h.Segments {
		n += h.Segments[i].Bytes
	}
	return n
}

// Added is the size of what the given checkpoint wrote itself.
func (h *StateHandle) Added(id int64) (n int64) {
	for i := range h.Segments {
		if h.Segments[i].Checkpoint == id {
			n += h.Segments[i].Bytes
		}
	}
	return n
}

// Operator returns the operator of that id, or nil.
func (m *Metadata) Operator(id OperatorID) *Operator {
	for i := range m.Operators {
		if m.Operators[i].ID == id {
			return &m.Operators[i]
		}
	}
	return nil
}

// Handles calls f for the state of each operator of each subtask; f may change it.
func (m *Metadata) Handles(f func(op *Operator, subtask int, h *StateHandle)) {
	for i := range m.Operators {
		op := &m.Operators[i]
		for s := range op.Subtasks {
			f(op, s, &op.Subtasks[s].State)
		}
	}
}

// Files returns the paths of all files that the checkpoint needs, sorted, each once.
func (m *Metadata) Files() []string {
	var files []string
	m.Handles(func(_ *Operator, _ int, h *StateHandle) {
		for i := range h.Segments {
			if p := h.Segments[i].Path; p != "" {
				files = append(files, p)
			}
		}
	})
	slices.Sort(files)
	return slices.Compact(files)
}

// Validate reports the first thing that no writer of this package produces. It is called before encoding and after
// decoding.
func (m *Metadata) Validate() error {
	switch {
	case m.JobID == "":
		return errors.New("no job id")
	case m.ID <= 0:
		return fmt.Errorf("checkpoint id %d", m.ID)
	case !m.Kind.valid():
		return fmt.Errorf("unknown %v", m.Kind)
	}
	seen := make(map[OperatorID]bool, len(m.Operators))
	for i := range m.Operators {
		op := &m.Operators[i]
		if op.ID == "" || seen[op.ID] {
			return fmt.Errorf("operator %q: id missing or given twice", op.ID)
		}
		seen[op.ID] = true
		if err := op.validate(); err != nil {
			return fmt.Errorf("operator %q: %w", op.ID, err)
		}
	}
	return nil
}

func (o *Operator) validate() error {
	if o.Parallelism <= 0 || o.MaxParallelism < o.Parallelism || len(o.Subtasks) != o.Parallelism {
		return fmt.Errorf("parallelism %d of at most %d, %d subtasks", o.Parallelism, o.MaxParallelism, len(o.Subtasks))
	}
	for i := range o.Subtasks {
		if err := o.Subtasks[i].State.validate(); err != nil {
			return fmt.Errorf("subtask %d: %w", i, err)
		}
	}
	return nil
}

func (h *StateHandle) validate() error {
	for i := range h.Segments {
		if s := &h.Segments[i]; (s.Path == "") == (len(s.Inline) == 0) {
			return fmt.Errorf("segment %d: want either a path or inline state", i)
		}
	}
	for _, st := range h.States {
		last := -1
		for _, i := range st.Segments {
			if i <= last || i >= len(h.Segments) {
				return fmt.Errorf("state %q: segments %v of %d", st.Name, st.Segments, len(h.Segments))
			}
			last = i
		}
	}
	return nil
}
