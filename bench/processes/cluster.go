// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package processes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/weir-stream/weir/internal/restclient"
)

// Times of waiting.
const (
	// Patience bounds each wait; lookPause is the time between two looks, MeasurePause while their time is measured.
	Patience     = 3 * time.Minute
	lookPause    = 20 * time.Millisecond
	MeasurePause = time.Millisecond
	// stopGrace is how long a cluster may take to end before it is killed.
	stopGrace = time.Minute
)

// Cluster is one in a directory of its own.
type Cluster struct {
	// Dir is the directory, Began when the cluster was started.
	Dir   string
	Began time.Time
	// REST reaches its API.
	REST *restclient.Client

	cmd    *exec.Cmd
	output *bytes.Buffer
	ended  chan struct{}
}

// Start starts `weir cluster up` in the foreground, and returns when its REST API answers; weir is the binary and up are
// further arguments.
func Start(ctx context.Context, weir string, up ...string) (*Cluster, error) {
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir, output: &bytes.Buffer{}, ended: make(chan struct{})}
	args := append([]string{"cluster", "up", "--data-dir", c.data(), "-D", "rest.port=0", "-D", "jobmanager.rpc.port=0"}, up...)
	c.cmd = exec.Command(weir, args...)
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = dir, c.output, c.output
	c.Began = time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go func() { // Owner: the cluster; stop waits for ended
		_ = c.cmd.Wait() // stop kills it if need be
		close(c.ended)
	}()
	if err := c.AwaitEvery(ctx, MeasurePause, "the REST API answers", func() bool { return c.answers(ctx) }); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) data() string { return filepath.Join(c.Dir, "d") }

// answers tells whether the REST API does.
func (c *Cluster) answers(ctx context.Context) bool {
	text, err := os.ReadFile(filepath.Join(c.data(), "rest.address"))
	if err != nil {
		return false
	}
	c.REST = restclient.New(restclient.Config{Address: strings.TrimSpace(string(text))})
	_, err = c.Slots(ctx)
	return err == nil
}

// Slots is how many have registered.
func (c *Cluster) Slots(ctx context.Context) (int, error) {
	var o struct {
		Slots int `json:"slots-total"`
	}
	err := c.REST.Get(ctx, "/overview", &o)
	return o.Slots, err
}

// Await waits for a condition.
func (c *Cluster) Await(ctx context.Context, what string, condition func() bool) error {
	return c.AwaitEvery(ctx, lookPause, what, condition)
}

// AwaitEvery is Await with a pause of its own between two looks.
func (c *Cluster) AwaitEvery(ctx context.Context, pause time.Duration, what string, condition func() bool) error {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	timeout := time.NewTimer(Patience)
	defer timeout.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.ended:
			return fmt.Errorf("the cluster has ended: %s", c.output)
		case <-timeout.C:
			return fmt.Errorf("not within %v: %s", Patience, what)
		}
	}
	return nil
}

// Stop ends the cluster and removes its directory.
func (c *Cluster) Stop() error {
	if c.REST != nil {
		c.REST.Close()
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
	return os.RemoveAll(c.Dir)
}

// One is the only process of a kind.
func (c *Cluster) One(ctx context.Context, k Kind) (int, error) {
	var pids []int
	err := c.Await(ctx, "there is one "+string(k), func() bool {
		pids = c.Tree()[k]
		return len(pids) == 1
	})
	if err != nil {
		return 0, err
	}
	return pids[0], nil
}

// Upload brings a program to the cluster, and returns its id there.
func (c *Cluster) Upload(ctx context.Context, program string) (string, error) {
	f, err := os.Open(program)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	return c.REST.Upload(ctx, filepath.Base(program), f)
}

// Output is what the supervisor has written; it is to be asked for once the cluster has stopped.
func (c *Cluster) Output() string { return c.output.String() }

// Tree is that of all processes of the cluster.
func (c *Cluster) Tree() map[Kind][]int { return Tree(c.cmd.Process.Pid) }

// Running waits until all tasks of a job run.
func (c *Cluster) Running(ctx context.Context, id string, tasks int) error {
	var last *restclient.Progress
	err := c.Await(ctx, "job "+id+" runs", func() bool {
		p, err := c.REST.Progress(ctx, id)
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

// Cancel ends a job.
func (c *Cluster) Cancel(ctx context.Context, id string) error {
	if err := c.REST.Cancel(ctx, id); err != nil {
		return err
	}
	return c.Await(ctx, "job "+id+" has ended", func() bool {
		p, err := c.REST.Progress(ctx, id)
		return err == nil && p.Ended()
	})
}
