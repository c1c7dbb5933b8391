// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// commands are Flink's command line and the job that it works on.
type commands struct {
	r *report
	f *flink
	c *cluster
}

// cli runs a command of Flink's and checks that it succeeds and says some things.
func (k commands) cli(ctx context.Context, args, wants []string) (string, error) {
	host, port := k.c.hostPort()
	all := append([]string{"org.apache.flink.client.cli.CliFrontend", args[0], "-Drest.address=" + host, "-Drest.port=" + port}, args[1:]...)
	cmd, err := k.f.java(ctx, all...)
	if err != nil {
		return "", err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%w: %s", err, out)
	}
	for _, want := range wants {
		if !strings.Contains(string(out), want) {
			return string(out), fmt.Errorf("it does not say %q: %s", want, out)
		}
	}
	return string(out), nil
}

// try runs one, checks it, and reports.
func (k commands) try(ctx context.Context, args, wants []string, check func(out string) error) {
	out, err := k.cli(ctx, args, wants)
	if err == nil && check != nil {
		err = check(out)
	}
	k.r.add("cli", "flink "+strings.Join(args, " "), err)
}

// tryCommands tries all commands of Flink's command line but those that bring Java programs.
func tryCommands(ctx context.Context, r *report, f *flink, c *cluster) error {
	k := commands{r: r, f: f, c: c}
	job, err := c.job(ctx)
	if err != nil {
		return err
	}
	running := []string{job + " : flights (RUNNING)"}
	k.try(ctx, []string{"list"}, append(running, "No scheduled jobs."), nil)
	k.try(ctx, []string{"list", "-r"}, running, nil)
	k.try(ctx, []string{"list", "-s"}, []string{"No scheduled jobs."}, nil)
	k.try(ctx, []string{"list", "-a"}, running, nil)
	k.savepoints(ctx, job)
	completed := regexp.MustCompile(`heckpoint.* \d+ for job ` + job + ` completed`)
	hasCompleted := func(out string) error {
		if !completed.MatchString(out) {
			return errors.New(out)
		}
		return nil
	}
	k.try(ctx, []string{"checkpoint", job}, nil, hasCompleted)
	k.try(ctx, []string{"checkpoint", "-full", job}, nil, hasCompleted)
	k.try(ctx, []string{"cancel", job}, []string{"Cancelled job " + job}, func(string) error { return c.state(ctx, job, "CANCELED") })
	k.try(ctx, []string{"list", "-a"}, []string{job + " : flights (CANCELED)"}, nil)
	return k.stops(ctx)
}

// place finds the directory of a savepoint in what a command says.
var place = regexp.MustCompile(`(?m)Path: (?:file:)?(\S+)$`)

// isSavepoint checks that a command tells of a savepoint, in a directory unless that is empty.
func isSavepoint(dir string, path *string) func(out string) error {
	return func(out string) error {
		found := place.FindStringSubmatch(out)
		if found == nil {
			return fmt.Errorf("it tells no path: %s", out)
		}
		*path = found[1]
		if !strings.HasPrefix(*path, dir) {
			return fmt.Errorf("the savepoint is %s, want it in %s", *path, dir)
		}
		_, err := os.Stat(filepath.Join(*path, "_metadata"))
		return err
	}
}

func (k commands) savepoints(ctx context.Context, job string) {
	dir, path := filepath.Join(k.c.dir, "mine"), ""
	configured := filepath.Join(k.c.dir, "savepoints")
	k.try(ctx, []string{"savepoint", job}, []string{"Savepoint completed."}, isSavepoint(configured, &path))
	k.try(ctx, []string{"savepoint", "--type", "native", job, "file://" + dir}, nil, isSavepoint(dir, &path))
	k.try(ctx, []string{"savepoint", "--type", "canonical", job, dir}, nil, isSavepoint(dir, &path))
	k.try(ctx, []string{"savepoint", "--dispose", path}, []string{"disposed"}, func(string) error {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%s is still there", path)
		}
		return nil
	})
	k.try(ctx, []string{"savepoint", "-detached", job, dir}, []string{"Triggering savepoint in detached mode"}, nil)
}

// stops tries what ends a job with a savepoint, each with a job of its own.
func (k commands) stops(ctx context.Context) error {
	dir := filepath.Join(k.c.dir, "last")
	configured := filepath.Join(k.c.dir, "savepoints")
	for _, stop := range []struct {
		args, wants []string
		dir, state  string
	}{
		{[]string{"stop"}, []string{"Savepoint completed."}, configured, "FINISHED"},
		{[]string{"stop", "-p", dir}, []string{"Savepoint completed."}, dir, "FINISHED"},
		{[]string{"stop", "--drain", "-p", "file://" + dir}, []string{"Savepoint completed."}, dir, "FINISHED"},
		{[]string{"stop", "--type", "native", "-p", dir}, []string{"Savepoint completed."}, dir, "FINISHED"},
		{[]string{"stop", "-detached", "-p", dir}, []string{"in detached mode"}, "", "FINISHED"},
		{[]string{"cancel", "-s", dir}, []string{"Cancelled job", "Savepoint stored in"}, "", "CANCELED"},
	} {
		job, err := k.c.job(ctx)
		if err != nil {
			return err
		}
		k.try(ctx, append(stop.args, job), stop.wants, func(out string) error {
			if err := k.c.state(ctx, job, stop.state); err != nil || stop.dir == "" {
				return err
			}
			var path string
			return isSavepoint(stop.dir, &path)(out)
		})
	}
	return nil
}
