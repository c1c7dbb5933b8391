// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// What a child finds in its environment.
const (
	// EnvRole is set in a process that was started in a role; EnvFD holds the descriptor of its link.
	EnvRole = "WEIR_ROLE"
	EnvFD   = "WEIR_FD"

	envPrefix      = "WEIR_"
	envMemoryLimit = "GOMEMLIMIT"
	childFD        = 3
)

// A file that is busy for exec is free again when a fork elsewhere in this process has come to its exec.
const (
	busyRetriesMax = 50
	busyRetryAfter = 10 * time.Millisecond
)

// outsidePercent is the share of a process's memory that its Go runtime is not to use: for code, threads and what the
// kernel holds for it.
const outsidePercent = 10

// environment is that of the child.
func (p *Process) environment() []string {
	env := p.config.Env
	if env == nil {
		// What configures this process may be secret, and is not the program's business.
		env = slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, envPrefix) })
	}
	env = append(slices.Clone(env), EnvRole+"=1", fmt.Sprintf("%s=%d", EnvFD, childFD))
	if limit := p.config.MemoryBytes; limit > 0 {
		env = append(env, fmt.Sprintf("%s=%d", envMemoryLimit, limit/100*(100-outsidePercent)))
	}
	return env // of several values the last counts
}

// socketpair returns two connected ends, neither of which a child inherits by itself.
func socketpair() (parent, child *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	// Without it a read of the file would hold a thread, and Close would not end it.
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		_, _ = syscall.Close(fds[0]), syscall.Close(fds[1]) // the error that is returned says more
		return nil, nil, os.NewSyscallError("setnonblock", err)
	}
	return os.NewFile(uintptr(fds[0]), "link"), os.NewFile(uintptr(fds[1]), "link of child"), nil
}

// startRetrying starts a program, again while its file is busy.
func startRetrying(path string, args []string, a *os.ProcAttr) (*os.Process, error) {
	for try := 0; ; try++ {
		proc, err := os.StartProcess(path, args, a)
		if err == nil || !errors.Is(err, syscall.ETXTBSY) || try == busyRetriesMax {
			return proc, err
		}
		time.Sleep(busyRetryAfter)
	}
}
