// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build !invariants

package invariants

// Enabled tells whether checks are compiled in.
const Enabled = false

// Check does nothing in this build.
func Check(bool, string, ...any) {}
