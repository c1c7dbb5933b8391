// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"fmt"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/statefile"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/task"
	"github.com/weir-stream/weir/internal/taskmanager/executor"
)

// stateFiles is the state storage of one attempt: a file a checkpoint, in the directory of its run.
type stateFiles struct{ files *statefile.Storage }

var _ task.StateStorage = stateFiles{}

// newStateFiles makes one. It does no I/O.
func newStateFiles(run *storage.Run, r executor.StorageRequest) (task.StateStorage, error) {
	ctx := context.Background() //nolint:forbidigo // files of a checkpoint outlive every call: Abort and Close end them
	c := statefile.Config{
		Open:   func(path string) (statefile.Object, error) { return run.Open(ctx, path) },
		Create: func(path string) (statefile.File, error) { return run.NewStateFile(ctx, path) },
		Name: func(checkpoint int64) string {
			return storage.StateName(checkpoint, r.Vertex.ID, r.Subtask, r.Attempt)
		},
	}
	if len(r.Restore) > 0 {
		m, err := checkpoint.Decode(r.Restore)
		if err != nil {
			return nil, fmt.Errorf("checkpoint to restore: %w", err)
		}
		c.Restore = m
	}
	return stateFiles{statefile.NewStorage(c)}, nil
}

// Restored reads what a subtask takes of an operator's state.
func (s stateFiles) Restored(operatorID string, subtask, parallelism, maxParallelism int) (statebackend.Reader, error) {
	return s.files.Restored(checkpoint.OperatorID(operatorID), statefile.Share{
		Subtask: subtask, Parallelism: parallelism, MaxParallelism: maxParallelism,
	})
}

// Begin begins the file of a checkpoint.
func (s stateFiles) Begin(cp statebackend.Checkpoint) (task.Snapshot, error) {
	return stateFile{s.files.Begin(cp.ID)}, nil
}

// stateFile is the file of one checkpoint.
type stateFile struct{ *statefile.Snapshot }

// Operator is the writer of an operator.
func (f stateFile) Operator(operatorID string) statebackend.Writer {
	return f.Snapshot.Operator(checkpoint.OperatorID(operatorID))
}

// Finish ends the file.
func (f stateFile) Finish(states []task.OperatorStates, done func(state []byte, bytes int64, err error)) {
	operators := make([]statefile.OperatorStates, len(states))
	for i, op := range states {
		operators[i].Operator = checkpoint.OperatorID(op.OperatorID)
		for _, s := range op.States {
			operators[i].States = append(operators[i].States, statefile.StateInfo(s))
		}
	}
	f.Snapshot.Finish(operators, func(written []checkpoint.OperatorState, bytes int64, err error) {
		if err != nil {
			done(nil, 0, err)
			return
		}
		done(checkpoint.EncodeTaskState(written), bytes, nil)
	})
}
