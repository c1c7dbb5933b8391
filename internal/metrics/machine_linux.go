// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package metrics

import "syscall"

// MachineMemoryBytes is the memory of the machine; zero if it can't be known.
func MachineMemoryBytes() int64 {
	var s syscall.Sysinfo_t
	if err := syscall.Sysinfo(&s); err != nil {
		return 0
	}
	return int64(s.Totalram) * int64(s.Unit)
}
