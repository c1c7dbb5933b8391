// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/weir-stream/weir/internal/config"
	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/restclient"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// program is a built job program. Close removes what was built.
type program struct {
	// path is of the file for the cluster, host of one that runs here: the same unless the platforms differ.
	path, host string
	name       string
	temporary  string
}

func (p *program) Close() {
	if p.temporary != "" {
		_ = os.RemoveAll(p.temporary) // a temporary directory
	}
}

// openProgram takes a program file as it is, or builds a Go package for a platform, GOOS/GOARCH, and for this machine.
func (a *app) openProgram(ctx context.Context, target, platform string) (*program, error) {
	if info, err := os.Stat(target); err == nil && info.Mode().IsRegular() && !strings.HasSuffix(target, ".go") {
		path := absolute(target)
		return &program{path: path, host: path, name: filepath.Base(target)}, nil
	}
	dir, err := os.MkdirTemp("", "weir-build-")
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", target, err)
	}
	p := &program{temporary: dir, name: programName(target), path: filepath.Join(dir, "program")}
	here := runtime.GOOS + "/" + runtime.GOARCH
	if platform == "" {
		platform = here
	}
	err = a.build(ctx, target, platform, p.path)
	if p.host = p.path; err == nil && platform != here {
		p.host = filepath.Join(dir, "host")
		err = a.build(ctx, target, here, p.host)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// programName is the last part of a package's path.
func programName(target string) string {
	if name := filepath.Base(absolute(target)); name != string(filepath.Separator) {
		return strings.TrimSuffix(name, ".go")
	}
	return "program"
}

// build runs the Go toolchain. Programs are static, so that they run on any machine of the platform.
func (a *app) build(ctx context.Context, target, platform, to string) error {
	goos, goarch, _ := strings.Cut(platform, "/")
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", to)
	if info, err := os.Stat(target); err == nil && info.IsDir() {
		c.Dir, c.Args = target, append(c.Args, ".") // which may be of another module than the working directory
	} else {
		c.Args = append(c.Args, target)
	}
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	var output bytes.Buffer
	c.Stdout, c.Stderr = &output, &output
	err := c.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("build %s: there is no `go` in the path; name a program file instead", target)
	case err != nil:
		return fmt.Errorf("build %s for %s: %w\n%s", target, platform, err, bytes.TrimSpace(output.Bytes()))
	}
	return nil
}

// describe asks the program what it would run. Where it has several jobs, the first argument picks one, and is not the
// job's; job is its name then.
func (a *app) describe(ctx context.Context, p *program, arguments []string, settings map[string]string) (
	d *weirpb.JobDescription, job string, rest []string, err error,
) {
	all, err := a.describeAll(ctx, p, "", arguments, settings)
	if err != nil {
		return nil, "", nil, err
	}
	if len(all) > 1 {
		names := make([]string, len(all))
		for i, d := range all {
			names[i] = d.GetJob()
		}
		slices.Sort(names)
		if len(arguments) == 0 || !slices.Contains(names, arguments[0]) {
			return nil, "", nil, fmt.Errorf("the program has several jobs; name one as the first argument behind --: %s", strings.Join(names, ", "))
		}
		job, arguments = arguments[0], arguments[1:]
		if all, err = a.describeAll(ctx, p, job, arguments, settings); err != nil {
			return nil, "", nil, err
		}
		all = slices.DeleteFunc(all, func(d *weirpb.JobDescription) bool { return d.GetJob() != job })
	}
	switch {
	case len(all) == 0:
		return nil, "", nil, errors.New("the program describes no job")
	case all[0].GetError() != "":
		return nil, "", nil, exitError{exitUsage, errors.New(all[0].GetError())}
	}
	return all[0], job, arguments, nil
}

// describeAll starts the program in the role of one that describes.
func (a *app) describeAll(ctx context.Context, p *program, job string, arguments []string, settings map[string]string) ([]*weirpb.JobDescription, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	log, err := os.CreateTemp("", "weir-describe-*.log")
	if err != nil {
		return nil, err
	}
	defer func() { _, _ = log.Close(), os.Remove(log.Name()) }() // what the program prints is in the errors
	proc, answer, err := process.StartRole(ctx, process.Config{
		Path: p.host, Dir: dir, Log: log.Name(), Receive: func(*weirpb.Frame) {}, Logger: slog.New(slog.DiscardHandler),
	}, &weirpb.RoleSpec{
		ProtocolMin: rpc.ProtocolMin, ProtocolMax: rpc.Protocol, Role: weirpb.Role_ROLE_DESCRIBE, Job: job,
		Arguments: arguments, Dir: dir, Settings: settings,
	}, a.config.Duration(config.DescribeTimeout))
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", p.name, err)
	}
	proc.Stop(stopGrace)
	return answer.Description.GetJobs(), nil
}

// upload sends the program, unless the cluster has it already, and returns its id there.
func upload(ctx context.Context, k *restclient.Client, p *program) (string, error) {
	f, err := os.Open(p.path)
	if err != nil {
		return "", fmt.Errorf("upload %s: %w", p.name, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", fmt.Errorf("upload %s: %w", p.name, err)
	}
	there, err := k.Programs(ctx)
	if err != nil {
		return "", err
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	if i := slices.IndexFunc(there, func(x restclient.Program) bool { return x.SHA256 == sum }); i >= 0 {
		return there[i].ID, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("upload %s: %w", p.name, err)
	}
	return k.Upload(ctx, p.name, f)
}
