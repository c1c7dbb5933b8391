// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"strings"
	"syscall"
)

// Exit is how a process ended.
type Exit struct {
	// Code is the exit code, or -1 if a signal ended the process, which Signal then is.
	Code   int
	Signal syscall.Signal
	// Killed tells that Kill ended it, or Stop after its grace; OOM that it took more memory than it may, or there is.
	Killed, OOM bool
	// MemoryBytes is what it was allowed to take, zero if there was no limit.
	MemoryBytes int64
	// Tail is the end of its output; that of a program that panicked begins at the panic.
	Tail string
}

// Reason says in half a sentence how the process ended, without its output.
func (e Exit) Reason() string {
	switch {
	case e.OOM && e.MemoryBytes > 0:
		return fmt.Sprintf("killed because it took more than its %d MB of memory", e.MemoryBytes>>20)
	case e.OOM:
		return "ended because there was no memory left"
	case e.Killed:
		return "was killed by its parent"
	case e.Signal != 0:
		return fmt.Sprintf("was killed by signal %d (%v)", int(e.Signal), e.Signal)
	default:
		return fmt.Sprintf("ended with exit code %d", e.Code)
	}
}

// String says how the process ended and shows the end of its output.
func (e Exit) String() string {
	if e.Tail == "" {
		return e.Reason()
	}
	return e.Reason() + "; the end of its output:\n\t" + strings.ReplaceAll(e.Tail, "\n", "\n\t")
}
