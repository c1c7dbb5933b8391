// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// upTimeout is how long a cluster in the background may take to come up.
const upTimeout = time.Minute

// upDetached starts a cluster in the background and returns when it is up.
func (a *app) upDetached(ctx context.Context, o upOptions) error {
	o.detached = false
	if err := a.spawnUp(ctx, o); err != nil {
		return err
	}
	overview := a.isUp(ctx)
	if overview == nil {
		return errors.New("the cluster came up and is gone again")
	}
	a.sayUp(overview)
	return nil
}

// spawnUp starts `weir cluster up` in a session of its own, so that no terminal ends it, and waits until it is up.
func (a *app) spawnUp(ctx context.Context, o upOptions) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	logName := filepath.Join(a.dataDir(), "log", "cluster.out")
	if err := os.MkdirAll(filepath.Dir(logName), 0o700); err != nil {
		return fmt.Errorf("directory of the cluster: %w", err)
	}
	log, err := os.OpenFile(logName, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has it
	c := exec.Command(self, append([]string{"cluster", "up", "--mode", o.mode}, a.arguments()...)...)
	c.Env = append(os.Environ(), a.config.Secrets(passedOn...)...)
	c.Stdout, c.Stderr = log, log
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return fmt.Errorf("start the cluster: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }() // Owner: the process: it ends with the cluster, or with this process
	err = a.awaitUp(ctx, ended, logName)
	if err != nil {
		endNow(c.Process, ended)
	}
	return err
}

// endNow ends a cluster that nobody will use, with its processes. One that has ended is what is wanted.
func endNow(p *os.Process, ended <-chan error) {
	_ = p.Signal(os.Interrupt)
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-ended: //nolint:errcheck // how it ended does not matter
	case <-timer.C:
		_ = p.Kill() // its children see that and end
	}
}

// awaitUp waits until the cluster is up, or its process has ended; ended has how it ended then.
func (a *app) awaitUp(ctx context.Context, ended chan error, logName string) error {
	ticker := time.NewTicker(upInterval)
	defer ticker.Stop()
	timeout := time.NewTimer(upTimeout)
	defer timeout.Stop()
	for {
		select {
		case <-ticker.C:
			if a.isUp(ctx) != nil {
				return nil
			}
		case err := <-ended:
			ended <- err // for who asks again
			text, readErr := os.ReadFile(logName)
			if readErr != nil {
				return errors.Join(err, readErr)
			}
			return fmt.Errorf("the cluster did not come up: %s", strings.TrimPrefix(strings.TrimSpace(string(text)), "weir: "))
		case <-timeout.C:
			return fmt.Errorf("the cluster is not up after %v; %s tells more", upTimeout, logName)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
