// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package snapshots is the StateStorage of a task over the files of a run: each snapshot of an attempt is a state file of
// its own, and what the attempt starts from is read from those of earlier ones.
//
//	task --blocks--> Snapshot --> state file of the run --> handles, encoded, in the acknowledgement
//	task <--blocks-- Reader <---- state files that the metadata of a checkpoint names
//
// The executor makes one for each attempt.
package snapshots

import (
	"context"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/statefile"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/task"
)

// Files are the state files of a run; *storage.Run has them.
type Files interface {
	Open(ctx context.Context, path string) (storage.Object, error)
	NewStateFile(ctx context.Context, name string) (storage.Writer, error)
}

var _ Files = (*storage.Run)(nil)

// Config says whose snapshots are kept.
type Config struct {
	Files Files
	// Restore is the checkpoint that the attempt starts from, with paths that Files knows; nil on a fresh start.
	Restore *checkpoint.Metadata
	Vertex  *graph.JobVertex
	Subtask int
	Attempt int64
	Options statefile.Options
}

// Storage keeps the snapshots of one attempt.
type Storage struct{ files *statefile.Storage }

var _ task.StateStorage = (*Storage)(nil)

// New makes the storage of an attempt, without I/O. ctx ends its I/O.
func New(ctx context.Context, c Config) *Storage {
	return &Storage{statefile.NewStorage(statefile.Config{
		Restore: c.Restore,
		Open:    func(path string) (statefile.Object, error) { return c.Files.Open(ctx, path) },
		Create:  func(name string) (statefile.File, error) { return c.Files.NewStateFile(ctx, name) },
		Name: func(checkpoint int64) string {
			return storage.StateName(checkpoint, c.Vertex.ID, c.Subtask, c.Attempt)
		},
		Options: c.Options,
	})}
}

// Wait returns when all files that were begun are closed or gone. The task has ended before.
func (s *Storage) Wait() { s.files.Wait() }

// Restored implements task.StateStorage.
func (s *Storage) Restored(operatorID string, subtask, parallelism, maxParallelism int) (statebackend.Reader, error) {
	return s.files.Restored(checkpoint.OperatorID(operatorID), statefile.Share{
		Subtask: subtask, Parallelism: parallelism, MaxParallelism: maxParallelism,
	})
}

// Begin implements task.StateStorage.
func (s *Storage) Begin(cp statebackend.Checkpoint, roomy func()) (task.Snapshot, error) {
	return snapshot{s.files.Begin(cp.ID, roomy)}, nil
}

type snapshot struct{ *statefile.Snapshot }

// Operator implements task.Snapshot.
func (s snapshot) Operator(operatorID string) statebackend.Writer {
	return s.Snapshot.Operator(checkpoint.OperatorID(operatorID))
}

// Finish implements task.Snapshot.
func (s snapshot) Finish(states []task.OperatorStates, done func(state []byte, bytes int64, err error)) {
	written := make([]statefile.OperatorStates, len(states))
	for i, o := range states {
		written[i].Operator = checkpoint.OperatorID(o.OperatorID)
		for _, state := range o.States {
			written[i].States = append(written[i].States, statefile.StateInfo(state))
		}
	}
	s.Snapshot.Finish(written, func(handles []checkpoint.OperatorState, bytes int64, err error) {
		if err != nil {
			done(nil, 0, err)
			return
		}
		done(checkpoint.EncodeTaskState(handles), bytes, nil)
	})
}
