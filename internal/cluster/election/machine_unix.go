// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package election

import (
	"errors"
	"os"
	"strings"
	"syscall"
)

// self is what tells this boot of this machine, with its view of processes, from others, and the id of this process.
// Where that is not known the machine is empty, and nobody concludes anything.
func self() (machine string, process int) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", os.Getpid()
	}
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "", os.Getpid()
	}
	return strings.TrimSpace(string(boot)) + " " + namespace, os.Getpid()
}

// alive tells whether there is a process of that id; one that can't be asked counts as alive.
func alive(process int) bool {
	return !errors.Is(syscall.Kill(process, 0), syscall.ESRCH)
}
