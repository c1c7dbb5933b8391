// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/weir-stream/weir/internal/process"
)

// TestMain makes the test binary a job program too.
func TestMain(m *testing.M) {
	if os.Getenv(process.EnvRole) != "" {
		os.Exit(playRole(os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}
