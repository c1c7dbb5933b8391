// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// TestMain makes the test binary a child too: what it does is its first argument.
func TestMain(m *testing.M) {
	if os.Getenv(EnvRole) != "" {
		os.Exit(child(os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

// child is what a process of a job program is to its parent.
func child(args []string) int {
	switch args[0] {
	case "exit":
		code, _ := strconv.Atoi(args[1])
		return code
	case "panic":
		fmt.Println("before the panic")
		panic("no such luck")
	case "deaf": // a program that knows nothing of roles
		time.Sleep(time.Hour)
	case "orphan": // leaves a process behind, which holds its output
		c := exec.Command("sleep", "1000")
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		if err := c.Start(); err != nil {
			return 1
		}
		fmt.Println("sleeper", c.Process.Pid)
		return 0
	case "parent": // has a child of its own
		p, _, err := StartRole(context.Background(), Config{
			Path: os.Args[0], Args: []string{"idle"}, Receive: func(*weirpb.Frame) {}, Logger: slog.New(slog.DiscardHandler),
		}, &weirpb.RoleSpec{}, time.Minute)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println("child", p.PID())
		time.Sleep(time.Hour)
	case "write":
		lines, _ := strconv.Atoi(args[1])
		for k := range lines {
			fmt.Printf("line %06d %s\n", k, strings.Repeat("x", 90))
		}
		return 3
	}
	return withLink(args)
}

// withLink plays a role, as args[0] says.
func withLink(args []string) int {
	spec, frames := make(chan *weirpb.RoleSpec, 1), make(chan *weirpb.Frame, 16)
	if err := syscall.SetNonblock(childFD, true); err != nil {
		return 8
	}
	link := rpc.NewLink(os.NewFile(childFD, "link"), func(f *weirpb.Frame) {
		if s := f.GetSpec(); s != nil {
			spec <- s
		} else {
			frames <- f
		}
	})
	var s *weirpb.RoleSpec
	select {
	case s = <-spec:
	case <-link.Done():
		return 9
	}
	switch args[0] {
	case "refuse":
		link.Send(&weirpb.Frame{Body: &weirpb.Frame_Failed{Failed: &weirpb.RoleFailed{
			Error: "step 3 differs", Kind: weirpb.FailureKind_FAILURE_KIND_FATAL,
		}}})
		_ = link.Close()
		return 1
	case "describe":
		link.Send(&weirpb.Frame{Body: &weirpb.Frame_Description{Description: &weirpb.Description{Version: s.GetName()}}})
		_ = link.Close()
		return 0
	case "future":
		link.Send(&weirpb.Frame{Body: &weirpb.Frame_Ready{Ready: &weirpb.RoleReady{Protocol: s.GetProtocolMax() + 1}}})
	default:
		link.Send(&weirpb.Frame{Body: &weirpb.Frame_Ready{Ready: &weirpb.RoleReady{Protocol: s.GetProtocolMax()}}})
	}
	switch args[0] {
	case "grow":
		grow()
	case "echo":
		go func() {
			for f := range frames {
				link.Send(f)
			}
		}()
	case "environment":
		link.Send(&weirpb.Frame{Body: &weirpb.Frame_Names{Names: &weirpb.Names{Names: os.Environ()}}})
	}
	<-link.Done()
	return 0
}

// grow takes memory until it is stopped, in a way that no collector can help.
func grow() {
	var all [][]byte
	for {
		block := make([]byte, 8<<20)
		for k := range block {
			block[k] = byte(k)
		}
		all = append(all, block)
		runtime.KeepAlive(all)
		time.Sleep(5 * time.Millisecond)
	}
}

// config starts the test binary as a child that does what args say.
func config(t *testing.T, args ...string) Config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Path: self, Args: args, Dir: t.TempDir(), Receive: func(*weirpb.Frame) {}, Logger: slog.New(slog.DiscardHandler),
	}
}

func start(t *testing.T, c Config) *Process {
	t.Helper()
	p, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(0) })
	return p
}

// descriptors lists what this process has open, but for what the runtime opens once and keeps.
func descriptors(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here")
	}
	var open []string
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !slices.Contains([]string{"anon_inode:[eventpoll]", "anon_inode:[eventfd]"}, target) {
			open = append(open, target)
		}
	}
	return open
}
