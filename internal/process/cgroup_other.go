// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package process

import (
	"errors"
	"log/slog"
	"syscall"
)

// Cgroups makes cgroups for children, which only Linux has.
type Cgroups struct{}

// OpenCgroups tells that there are none.
func OpenCgroups() (*Cgroups, error) { return nil, errors.New("this system has no cgroups") }

// Close does nothing.
func (*Cgroups) Close() {}

func (*Cgroups) add(int64, *slog.Logger) *cgroup { return nil }

type cgroup struct{}

func (*cgroup) allow(int64)               {}
func (*cgroup) join(*syscall.SysProcAttr) {}
func (*cgroup) kill()                     {}
func (*cgroup) killedForMemory() bool     { return false }
func (*cgroup) remove()                   {}
