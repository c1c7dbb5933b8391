// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package processes

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build builds a program of the module as it is released, into a directory, and returns its file.
func Build(ctx context.Context, dir, path string) (string, error) {
	to := filepath.Join(dir, filepath.Base(path))
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "grpcnotrace", "-ldflags", "-s -w", "-o", to, path)
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOTOOLCHAIN=auto")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s, from the root of the module: %w\n%s", path, err, out)
	}
	return to, nil
}
