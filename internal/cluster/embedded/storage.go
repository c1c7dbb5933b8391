// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"fmt"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/statefile"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/task"
	"github.com/weir-stream/weir/internal/task/snapshots"
	"github.com/weir-stream/weir/internal/taskmanager/executor"
)

// newStateFiles makes the state storage of one attempt: files in the directory of its run.
func newStateFiles(run *storage.Run, r executor.StorageRequest, o statefile.Options) (task.StateStorage, error) {
	c := snapshots.Config{Files: run, Vertex: r.Vertex, Subtask: r.Subtask, Attempt: r.Attempt, Options: o}
	if len(r.Restore) > 0 {
		m, err := checkpoint.Decode(r.Restore)
		if err != nil {
			return nil, fmt.Errorf("checkpoint to restore: %w", err)
		}
		c.Restore = m
	}
	ctx := context.Background() //nolint:forbidigo // the files of an attempt outlive every call: their end ends them
	return snapshots.New(ctx, c), nil
}
