// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package metrics

// MachineMemoryBytes is not known here.
func MachineMemoryBytes() int64 { return 0 }
