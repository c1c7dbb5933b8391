// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain checks that no goroutine is left behind by any job.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
