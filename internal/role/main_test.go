// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package role_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-stream/weir/connector/file"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/role"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
	"github.com/weir-stream/weir/stream"
)

// programKey is the environment variable that names the program that this binary is as a child.
const programKey = "ROLE_TEST_PROGRAM"

// TestMain is the main of job programs too: the tests start this binary as a child.
func TestMain(m *testing.M) {
	link, err := role.FromEnvironment()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if link != nil {
		os.Exit(role.Serve(context.Background(), link, program(os.Getenv(programKey))))
	}
	goleak.VerifyTestMain(m)
}

type jobs = map[string]func(*stream.Env) error

func program(name string) role.Program {
	p := role.Program{Version: "v1", Jobs: jobs{"numbers": numbers}}
	switch name {
	case "clock":
		p.Jobs = jobs{"clock": clock}
	case "several":
		p.Jobs = jobs{"numbers": numbers, "fails": fails, "panics": panics}
	case "environment":
		p.Jobs = jobs{"environment": environment}
	}
	return p
}

type sum struct{ Key, N int64 }

// numbers counts the numbers from 0 on by their remainder; one subtask reads and another writes.
func numbers(env *stream.Env) error {
	out := env.Flag("out", "out", "directory of the results")
	src := generator.New(func(i int64, to *sum) { to.Key, to.N = i%7, 1 }).Rate(env.Flag("rate", 0.0, "numbers a second"))
	if n := env.Flag("n", int64(-1), "how many numbers"); n >= 0 {
		src = src.Limit(n)
	}
	env.From("numbers", src).
		KeyBy(func(s *sum) int64 { return s.Key }).
		Sum("sums", func(s *sum) *int64 { return &s.N }).
		To("out", file.JSONSink[sum](out))
	return nil
}

// clock describes another graph each time.
func clock(env *stream.Env) error {
	env.From("numbers", generator.Slice(int64(1))).
		Map(func(n *int64) int64 { return *n }).Name(fmt.Sprint("at ", time.Now().UnixNano())).
		To("out", file.JSONSink[int64]("/nowhere"))
	return nil
}

func fails(*stream.Env) error { return errors.New("no such thing") }

func panics(*stream.Env) error { panic("out of order") }

// environment fails if user code can see what is the engine's.
func environment(*stream.Env) error {
	for _, name := range []string{"WEIR_ROLE", "WEIR_FD"} {
		if v := os.Getenv(name); v != "" {
			return fmt.Errorf("%s=%s", name, v)
		}
	}
	return fails(nil)
}

// start runs this binary as a child in a role.
func start(t *testing.T, spec *weirpb.RoleSpec, receive func(*weirpb.Frame)) (*process.Process, *process.Answer, error) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, a, err := process.StartRole(t.Context(), process.Config{
		Path: exe, Dir: t.TempDir(), Receive: receive, Logger: slog.New(slog.DiscardHandler),
		Log: t.TempDir() + "/log",
	}, spec, time.Minute)
	if err == nil {
		t.Cleanup(func() {
			p.Stop(0)
			if t.Failed() {
				t.Logf("output of the child:\n%s", p.Exit().Tail)
			}
		})
	}
	return p, a, err
}

func ignore(*weirpb.Frame) {}

var _ rpc.Peer = (*process.Process)(nil)
