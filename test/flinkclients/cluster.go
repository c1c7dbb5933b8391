// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// cluster is a session cluster on this machine.
type cluster struct {
	// dir is where everything is; data is the cluster's directory; weir and program are binaries.
	dir, data, weir, program string
	// address is that of the REST API.
	address string
	runs    int
}

// startCluster builds the binaries and starts a cluster that serves the files of a dashboard.
func startCluster(ctx context.Context, dir, web string) (*cluster, error) {
	c := &cluster{
		dir: dir, data: filepath.Join(dir, "data"), weir: filepath.Join(dir, "weir"), program: filepath.Join(dir, "flights"),
	}
	for path, pkg := range map[string]string{c.weir: "./cmd/weir", c.program: "./examples/flights"} {
		build := exec.CommandContext(ctx, "go", "build", "-tags", "grpcnotrace", "-o", path, pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w: %s", pkg, err, out)
		}
	}
	if _, err := c.command(ctx, "cluster", "up", "-d", "--taskmanagers", "2", "--slots", "2",
		"-D", "rest.port=0", "-D", "jobmanager.rpc.port=0", "-D", "rest.web-dir="+web,
		"-D", "taskmanager.memory.process.size=512mb",
		"-D", "execution.checkpointing.savepoint-dir="+filepath.Join(dir, "savepoints")); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(c.data, "rest.address"))
	if err != nil {
		c.stop(ctx)
		return nil, err
	}
	c.address = strings.TrimSpace(string(text))
	return c, nil
}

func (c *cluster) stop(ctx context.Context) {
	if _, err := c.command(ctx, "cluster", "down"); err != nil {
		fmt.Fprintln(os.Stderr, "flinkclients:", err)
	}
}

// command runs a command of Weir's and returns what it prints.
func (c *cluster) command(ctx context.Context, args ...string) (string, error) {
	i := len(args)
	for n, a := range args {
		if a == "--" {
			i = n
			break
		}
	}
	all := append(append(append([]string{}, args[:i]...), "--data-dir", c.data), args[i:]...)
	cmd := exec.CommandContext(ctx, c.weir, all...)
	cmd.Dir = c.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("weir %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// job starts the flights job, slow enough to last, and waits until its tasks run and a checkpoint is complete.
func (c *cluster) job(ctx context.Context) (string, error) {
	c.runs++
	out, err := c.command(ctx, "run", "-d", c.program, "--", "--rate", "40", "--out",
		filepath.Join(c.dir, fmt.Sprintf("out-%d", c.runs)), "--checkpoint-interval", "1s")
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(out)
	return id, c.await(ctx, func(ctx context.Context) error {
		var p struct {
			State      string `json:"state"`
			Checkpoint int64  `json:"last-checkpoint"`
		}
		if err := c.get(ctx, "/weir/jobs/"+id+"/progress", &p); err != nil {
			return err
		}
		if p.State != "RUNNING" || p.Checkpoint == 0 {
			return fmt.Errorf("job %s is %s, and its last checkpoint is %d", id, p.State, p.Checkpoint)
		}
		return nil
	})
}

// state waits until a job is in a state.
func (c *cluster) state(ctx context.Context, id, want string) error {
	return c.await(ctx, func(ctx context.Context) error {
		var s struct{ Status string }
		if err := c.get(ctx, "/jobs/"+id+"/status", &s); err != nil {
			return err
		}
		if s.Status != want {
			return fmt.Errorf("job %s is %s, want %s", id, s.Status, want)
		}
		return nil
	})
}

const (
	awaitMax     = 20 * time.Second
	pollInterval = 100 * time.Millisecond
)

// await tries until there is no error any more, or returns the last one.
func (c *cluster) await(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, awaitMax)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
			return err
		}
	}
}

// get reads a JSON answer of the API.
func (c *cluster) get(ctx context.Context, path string, v any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.address+"/v1"+path, nil)
	if err != nil {
		return err
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = a.Body.Close() }()
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, a.Status)
	}
	return json.NewDecoder(a.Body).Decode(v)
}

// vertex is one of a job's, as its detail has it.
type vertex struct{ ID, Name string }

// vertices are those of a job.
func (c *cluster) vertices(ctx context.Context, job string) ([]vertex, error) {
	var d struct{ Vertices []vertex }
	if err := c.get(ctx, "/jobs/"+job, &d); err != nil {
		return nil, err
	}
	if len(d.Vertices) == 0 {
		return nil, errors.New("job " + job + " has no vertices")
	}
	return d.Vertices, nil
}

// worker is the id of a TaskManager that has a task of the job.
func (c *cluster) worker(ctx context.Context, job, vertex string) (string, error) {
	var d struct {
		Subtasks []struct {
			Worker string `json:"taskmanager-id"`
		}
	}
	if err := c.get(ctx, "/jobs/"+job+"/vertices/"+vertex, &d); err != nil {
		return "", err
	}
	return d.Subtasks[0].Worker, nil
}

// hostPort is the address of the API in two parts.
func (c *cluster) hostPort() (host, port string) {
	host, port, err := net.SplitHostPort(c.address)
	if err != nil {
		return c.address, ""
	}
	return host, port
}
