// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"strings"
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
