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
	t.Parallel()
	refuses(t, "checkpoints", func(spec *weirpb.ExecutorSpec, dir string) { spec.CheckpointDir = filepath.Join(dir, "checkpoints") })
}

// So does one that does not see the directory which the sink of its job writes to.
func TestOutputDirectoryElsewhere(t *testing.T) {
	t.Parallel()
	refuses(t, "out", func(*weirpb.ExecutorSpec, string) {})
}

// refuses starts executors in a place that lacks a directory.
func refuses(t *testing.T, lacks string, set func(spec *weirpb.ExecutorSpec, dir string)) {
	t.Helper()
	for begins, kind := range map[bool]weirpb.FailureKind{
		true: weirpb.FailureKind_FAILURE_KIND_FATAL, false: weirpb.FailureKind_FAILURE_KIND_WORLD,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			spec := &weirpb.ExecutorSpec{TaskManager: "taskmanager-a", Listen: "127.0.0.1:0", Host: "rack7", Begins: begins}
			set(spec, dir)
			_, _, err := start(t, &weirpb.RoleSpec{Role: weirpb.Role_ROLE_EXECUTOR, JobId: jobID, Dir: dir, Executor: spec}, ignore)
			var refused *process.Refused
			if !errors.As(err, &refused) || refused.Kind != kind ||
				!strings.Contains(refused.Text, "TaskManager taskmanager-a on host rack7 can't be used") ||
				!strings.Contains(refused.Text, filepath.Join(dir, lacks)) {
				t.Errorf("begins %v: %v", begins, err)
			}
		})
	}
}
