// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package role_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// An executor that does not see the checkpoint directory in which its job has begun refuses, naming both. A job that has
// run before may wait for it.
func TestCheckpointDirectoryElsewhere(t *testing.T) {
	for begins, kind := range map[bool]weirpb.FailureKind{
		true: weirpb.FailureKind_FAILURE_KIND_FATAL, false: weirpb.FailureKind_FAILURE_KIND_WORLD,
	} {
		dir := t.TempDir()
		_, _, err := start(t, &weirpb.RoleSpec{
			Role: weirpb.Role_ROLE_EXECUTOR, JobId: jobID, Dir: dir,
			Executor: &weirpb.ExecutorSpec{
				TaskManager: "taskmanager-a", Listen: "127.0.0.1:0", CheckpointDir: filepath.Join(dir, "checkpoints"), Begins: begins,
			},
		}, ignore)
		var refused *process.Refused
		if !errors.As(err, &refused) || refused.Kind != kind || !strings.Contains(refused.Text, "TaskManager taskmanager-a can't be used") ||
			!strings.Contains(refused.Text, filepath.Join(dir, "checkpoints")) {
			t.Errorf("begins %v: %v", begins, err)
		}
	}
}
