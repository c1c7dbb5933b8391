// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build invariants

package invariants

import "fmt"

// Enabled tells whether checks are compiled in.
const Enabled = true

// Check panics with the formatted message unless ok.
func Check(ok bool, format string, args ...any) {
	if !ok {
		panic("invariant violated: " + fmt.Sprintf(format, args...))
	}
}
