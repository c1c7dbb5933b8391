// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weir-stream/weir/internal/restclient"
)

const (
	// patience bounds each wait; lookPause is the time between two looks, measurePause while their time is measured.
	patience     = 3 * time.Minute
	lookPause    = 20 * time.Millisecond
	measurePause = time.Millisecond
	// stopGrace is how long a cluster may take to end before it is killed.
	stopGrace = time.Minute
)

// cluster is one of real processes in a directory of its own.
type cluster struct {
	dir    string
	began  time.Time
	cmd    *exec.Cmd
	output *bytes.Buffer
	ended  chan struct{}
	rest   *restclient.Client
}

// start starts `weir cluster up` in the foreground, and returns when its REST API answers.
func (b *bench) start(ctx context.Context, up ...string) (*cluster, error) {
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir, output: &bytes.Buffer{}, ended: make(chan struct{})}
	args := append([]string{"cluster", "up", "--data-dir", c.data(), "-D", "rest.port=0", "-D", "jobmanager.rpc.port=0"}, up...)
	c.cmd = exec.Command(b.weir, args...)
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = dir, c.output, c.output
	c.began = time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go func() { // Owner: the cluster; stop waits for ended
		_ = c.cmd.Wait() // stop kills it if need be
		close(c.ended)
	}()
	if err := c.awaitEvery(ctx, measurePause, "the REST API answers", func() bool { return c.answers(ctx) }); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

func (c *cluster) data() string { return filepath.Join(c.dir, "d") }

// answers tells whether the REST API does.
func (c *cluster) answers(ctx context.Context) bool {
	text, err := os.ReadFile(filepath.Join(c.data(), "rest.address"))
	if err != nil {
		return false
	}
	c.rest = restclient.New(restclient.Config{Address: strings.TrimSpace(string(text))})
	_, err = c.slots(ctx)
	return err == nil
}

// slots is how many have registered.
func (c *cluster) slots(ctx context.Context) (int, error) {
	var o struct {
		Slots int `json:"slots-total"`
	}
	err := c.rest.Get(ctx, "/overview", &o)
	return o.Slots, err
}

// await waits for a condition.
func (c *cluster) await(ctx context.Context, what string, condition func() bool) error {
	return c.awaitEvery(ctx, lookPause, what, condition)
}

func (c *cluster) awaitEvery(ctx context.Context, pause time.Duration, what string, condition func() bool) error {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.ended:
			return fmt.Errorf("the cluster has ended: %s", c.output)
		case <-timeout.C:
			return fmt.Errorf("not within %v: %s", patience, what)
		}
	}
	return nil
}

// stop ends the cluster and removes its directory.
func (c *cluster) stop() error {
	if c.rest != nil {
		c.rest.Close()
	}
	_ = c.cmd.Process.Signal(syscall.SIGINT) // one that has ended is what is wanted
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-c.ended:
	case <-timer.C:
		_ = c.cmd.Process.Kill()
		<-c.ended
	}
	return os.RemoveAll(c.dir)
}

// one is the only process of a kind.
func (c *cluster) one(ctx context.Context, k kind) (int, error) {
	var pids []int
	err := c.await(ctx, "there is one "+string(k), func() bool {
		pids = tree(c.cmd.Process.Pid)[k]
		return len(pids) == 1
	})
	if err != nil {
		return 0, err
	}
	return pids[0], nil
}

// upload brings the job's program to the cluster.
func (b *bench) upload(ctx context.Context, c *cluster) (string, error) {
	f, err := os.Open(b.job)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	return c.rest.Upload(ctx, "job", f)
}

// running waits until all tasks of a job run.
func (c *cluster) running(ctx context.Context, id string, tasks int) error {
	var last *restclient.Progress
	err := c.await(ctx, "job "+id+" runs", func() bool {
		p, err := c.rest.Progress(ctx, id)
		if err == nil {
			last = p
		}
		return err == nil && (p.Tasks["RUNNING"] >= tasks && p.State == "RUNNING" || p.Ended())
	})
	if err == nil && last.Ended() {
		err = fmt.Errorf("job %s is %s: %s", id, last.State, last.Failure)
	}
	return err
}

// cancel ends a job.
func (c *cluster) cancel(ctx context.Context, id string) error {
	if err := c.rest.Cancel(ctx, id); err != nil {
		return err
	}
	return c.await(ctx, "job "+id+" has ended", func() bool {
		p, err := c.rest.Progress(ctx, id)
		return err == nil && p.Ended()
	})
}

func itoa(n int) string { return strconv.Itoa(n) }
