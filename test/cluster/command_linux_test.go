// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// command is a program that runs or has run.
type command struct {
	cmd      *exec.Cmd
	done     chan struct{}
	out, err output
}

// commandMax ends a command that hangs, and with it the test.
const commandMax = 3 * time.Minute

// begin starts a program in a directory. It is killed at the end of the test at the latest.
func begin(t testing.TB, dir, program string, args ...string) *command {
	t.Helper()
	return beginFor(t, commandMax, dir, program, args...)
}

// forEver is the limit of what goes on until it is stopped.
const forEver = 24 * time.Hour

// beginFor is begin with another limit.
func beginFor(t testing.TB, limit time.Duration, dir, program string, args ...string) *command {
	t.Helper()
	c := &command{done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), limit)
	c.cmd = exec.CommandContext(ctx, program, args...)
	c.cmd.Dir = dir
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.err
	c.cmd.WaitDelay = 5 * time.Second // a child may hold the output open
	if err := c.cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	go func() { // Owner: the process; a cleanup of the test waits for done
		_ = c.cmd.Wait() // the state tells
		close(c.done)
	}()
	t.Cleanup(func() {
		cancel()
		<-c.done
	})
	return c
}

// code waits for the end and returns the exit code; -1 for a signal.
func (c *command) code() int {
	<-c.done
	return c.cmd.ProcessState.ExitCode()
}

// text is all that was written.
func (c *command) text() string { return c.out.String() + c.err.String() }

func (c *command) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// wants waits for the end, and checks the exit code and what was said.
func (c *command) wants(t testing.TB, code int, parts ...string) *command {
	t.Helper()
	if got := c.code(); got != code {
		t.Fatalf("%v: exit code %d, want %d\n%s", c.cmd.Args, got, code, c.text())
	}
	for _, part := range parts {
		if !strings.Contains(c.text(), part) {
			t.Errorf("%v: the output lacks %q:\n%s", c.cmd.Args, part, c.text())
		}
	}
	return c
}

// into reads the standard output as JSON.
func (c *command) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(c.out.String()), v); err != nil {
		t.Fatalf("%v: not JSON: %v\n%s", c.cmd.Args, err, c.text())
	}
}

func (c *command) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
}

// says waits until something was written.
func (c *command) says(t testing.TB, part string) {
	t.Helper()
	eventually(t, "the output has "+part, func() bool {
		ended := c.ended() // before the look at what it has said
		if strings.Contains(c.text(), part) {
			return true
		}
		if ended {
			t.Fatalf("%v ended with %d without saying %q:\n%s", c.cmd.Args, c.code(), part, c.text())
		}
		return false
	}, c.text)
}
