// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// hostID is the same for processes that see the same files: those of one start of a machine in one mount namespace.
func hostID() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("identify host: %w", err)
	}
	mounts, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return "", fmt.Errorf("identify host: %w", err)
	}
	return strings.TrimSpace(string(boot)) + "/" + mounts, nil
}

// machineMemoryBytes is the memory of the machine; zero if it can't be known.
func machineMemoryBytes() int64 {
	var s syscall.Sysinfo_t
	if err := syscall.Sysinfo(&s); err != nil {
		return 0
	}
	return int64(s.Totalram) * int64(s.Unit)
}
