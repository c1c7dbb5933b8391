// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// patience is how long a test waits for what happens at once.
const patience = 20 * time.Second

func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
	}
}

func TestExit(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string // of the text
		tail string
	}{
		{"well", []string{"exit", "0"}, 0, "exit code 0", ""},
		{"badly", []string{"exit", "7"}, 7, "exit code 7", ""},
		{"panic", []string{"panic"}, 2, "exit code 2", "panic: no such luck"},
		{"output", []string{"write", "100"}, 3, "exit code 3", "line 000070"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, config(t, tt.args...))
			await(t, "end", p.Done())
			e := p.Exit()
			if e.Code != tt.code || e.Signal != 0 || e.OOM || e.Killed {
				t.Errorf("exit %+v", e)
			}
			if !strings.Contains(e.String(), tt.want) || !strings.HasPrefix(e.Tail, tt.tail) {
				t.Errorf("exit reads %q", e)
			}
			if p.Send(&weirpb.Frame{}) {
				t.Error("an ended process takes frames")
			}
		})
	}
}

// TestKillIsNoticed kills a child from outside.
func TestKillIsNoticed(t *testing.T) {
	p, _ := startRole(t, config(t, "idle"))
	at := time.Now()
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "end", p.Done())
	took := time.Since(at)
	t.Logf("noticed after %v", took)
	if took > 2*time.Second {
		t.Errorf("noticed after %v", took)
	}
	if e := p.Exit(); e.Code != -1 || e.Signal != syscall.SIGKILL || e.Killed || e.OOM {
		t.Errorf("exit %+v", e)
	}
}

func TestStop(t *testing.T) {
	t.Run("willing", func(t *testing.T) {
		p, _ := startRole(t, config(t, "idle"))
		p.Stop(patience)
		if e := p.Exit(); e.Code != 0 || e.Killed {
			t.Errorf("exit %+v", e)
		}
	})
	t.Run("unwilling", func(t *testing.T) {
		p := start(t, config(t, "deaf"))
		p.Stop(10 * time.Millisecond)
		p.Stop(0)
		if e := p.Exit(); !e.Killed || e.Signal != syscall.SIGKILL {
			t.Errorf("exit %+v", e)
		}
	})
	t.Run("stopped by a signal", func(t *testing.T) {
		p, _ := startRole(t, config(t, "idle"))
		if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		p.Stop(10 * time.Millisecond)
		if e := p.Exit(); !e.Killed {
			t.Errorf("exit %+v", e)
		}
	})
}

func TestFrames(t *testing.T) {
	c := config(t, "echo")
	got := make(chan string, 16)
	c.Receive = func(f *weirpb.Frame) { got <- f.GetEnvelope().GetTo() }
	p, _ := startRole(t, c)
	for k := range 3 {
		p.Send(&weirpb.Frame{Body: &weirpb.Frame_Envelope{Envelope: &weirpb.Envelope{To: strconv.Itoa(k)}}})
	}
	for k := range 3 {
		select {
		case to := <-got:
			if to != strconv.Itoa(k) {
				t.Errorf("frame %d is %q", k, to)
			}
		case <-time.After(patience):
			t.Fatal("no echo")
		}
	}
}

// TestNothingIsLeft: the descriptors after many children of all kinds are those before, and no child is a zombie.
func TestNothingIsLeft(t *testing.T) {
	start(t, config(t, "exit", "0")).Stop(patience) // what the runtime opens at its first child
	before := descriptors(t)
	for k := range 12 {
		c := config(t, []string{"idle", "deaf", "panic", "orphan"}[k%4])
		c.Log = filepath.Join(t.TempDir(), "log")
		p := start(t, c)
		if k%4 > 1 {
			await(t, "end", p.Done())
		}
		p.Stop(0)
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", p.PID())); err == nil {
			t.Errorf("process %d is left", p.PID())
		}
	}
	missing := config(t, "idle")
	missing.Path = filepath.Join(missing.Dir, "nothing")
	if _, err := Start(missing); err == nil {
		t.Error("a program that is not there was started")
	}
	if after := descriptors(t); len(after) != len(before) {
		t.Errorf("descriptors before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}

// TestGroupEndsToo: what a child has started and left ends with it, although it holds the child's output open.
func TestGroupEndsToo(t *testing.T) {
	p := start(t, config(t, "orphan"))
	await(t, "end", p.Done())
	var pid int
	if _, err := fmt.Sscanf(p.Exit().Tail, "sleeper %d", &pid); err != nil {
		t.Fatalf("output %q: %v", p.Exit().Tail, err)
	}
	awaitGone(t, pid)
}

// TestChildEndsWithParent: a parent that is killed takes its child along, by the end of the link.
func TestChildEndsWithParent(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	c := config(t, "parent")
	c.Log = log
	p := start(t, c)
	var pid int
	for end := time.Now().Add(patience); pid == 0; <-time.After(time.Millisecond) {
		data, err := os.ReadFile(log)
		if err != nil || time.Now().After(end) {
			t.Fatalf("no child: %q, error %v", data, err)
		}
		_, _ = fmt.Sscanf(string(data), "child %d\n", &pid) // it may not be written yet
	}
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "end of the parent", p.Done())
	awaitGone(t, pid)
}

// awaitGone waits until a process that isn't a child of this one has ended. Init, or whoever stands in for it, may take its
// time to reap it.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(patience); ; <-time.After(time.Millisecond) {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(data, []byte(") Z ")) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("process %d is still there: %s", pid, data)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("WEIR_SECRET", "x")
	t.Setenv("PLAIN", "y")
	c := config(t, "environment")
	c.MemoryBytes = 1 << 30
	got := make(chan []string, 1)
	c.Receive = func(f *weirpb.Frame) { got <- f.GetNames().GetNames() }
	startRole(t, c)
	var all []string
	select {
	case all = <-got:
	case <-time.After(patience):
		t.Fatal("no environment")
	}
	for _, want := range []string{"PLAIN=y", "WEIR_ROLE=1", "WEIR_FD=3", fmt.Sprintf("GOMEMLIMIT=%d", (1<<30)/100*90)} {
		if !slices.Contains(all, want) {
			t.Errorf("%s is missing in %q", want, all)
		}
	}
	if slices.Contains(all, "WEIR_SECRET=x") {
		t.Error("a variable of this process's own is handed on")
	}
}

// TestMemory: a child that takes more than it may is killed, and its end says so.
func TestMemory(t *testing.T) {
	if r, ok := openResident(os.Getpid()); !ok {
		t.Skip("the memory of processes can't be seen here")
	} else {
		r.close()
	}
	cgroups, err := OpenCgroups()
	t.Logf("cgroups: %v", err)
	defer cgroups.Close()
	for _, tt := range []struct {
		name    string
		cgroups *Cgroups
	}{{"watched", nil}, {"cgroup", cgroups}} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.cgroups == nil && tt.name == "cgroup" {
				t.Skip("no cgroups here")
			}
			c := config(t, "grow")
			c.MemoryBytes, c.Cgroups = 128<<20, tt.cgroups
			p, _ := startRole(t, c)
			await(t, "end", p.Done())
			e := p.Exit()
			if !e.OOM || e.Killed || !strings.Contains(e.String(), "more than its 128 MB of memory") {
				t.Errorf("exit %+v: %v", e, e)
			}
		})
	}
}

func TestLogRotates(t *testing.T) {
	dir := t.TempDir()
	c := config(t, "write", strconv.Itoa(2*LogBytesMax/100))
	c.Log = filepath.Join(dir, "job", "executor.log")
	p := start(t, c)
	await(t, "end", p.Done())
	var all bytes.Buffer
	for _, name := range []string{"executor.log.2", "executor.log.1", "executor.log"} {
		data, err := os.ReadFile(filepath.Join(dir, "job", name))
		if err != nil && name != "executor.log.2" || len(data) > LogBytesMax {
			t.Errorf("%s has %d bytes, error %v", name, len(data), err)
		}
		all.Write(data)
	}
	k := 0
	for s := bufio.NewScanner(&all); s.Scan(); k++ {
		if want := fmt.Sprintf("line %06d ", k); !strings.HasPrefix(s.Text(), want) {
			t.Fatalf("%q follows, want %q", s.Text(), want)
		}
	}
	if k != 2*LogBytesMax/100 {
		t.Errorf("%d lines", k)
	}
}

func TestLogKeepsLimits(t *testing.T) {
	dir := t.TempDir()
	l, err := OpenLog(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, LogBytesMax/2+1)
	for range 2 * LogFilesMax {
		if _, err := l.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != LogFilesMax {
		t.Errorf("%d files, want %d, error %v", len(entries), LogFilesMax, err)
	}
}
