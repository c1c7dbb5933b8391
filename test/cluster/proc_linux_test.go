// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// kind is what a process of a cluster is.
type kind string

// The kinds of processes. A description is a program that is asked what it would run.
const (
	supervisor  kind = "supervisor"
	jobManager  kind = "JobManager"
	taskManager kind = "TaskManager"
	jobMaster   kind = "JobMaster"
	executor    kind = "executor"
	stranger    kind = "stranger"
)

// proc is a process as /proc shows it.
type proc struct {
	pid, parent int
	kind        kind
	args        []string
	state       byte
}

func (p proc) String() string {
	return fmt.Sprintf("%s %d (of %d, %c): %s", p.kind, p.pid, p.parent, p.state, strings.Join(p.args, " "))
}

// processes lists the live processes that have to do with a directory: their program lies in it, or their arguments or
// working directory name it. This process and its other children don't count.
func processes(t testing.TB, dir string) []proc {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var all []proc
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid != os.Getpid() {
			if p, ok := inspect(pid, dir); ok {
				all = append(all, p)
			}
		}
	}
	kinds := map[int]kind{}
	for i := range all {
		all[i].kind = role(all[i].args)
		kinds[all[i].pid] = all[i].kind
	}
	for i := range all {
		if p := &all[i]; p.kind == stranger {
			p.kind = map[kind]kind{jobManager: jobMaster, taskManager: executor}[kinds[p.parent]]
			if p.kind == "" {
				p.kind = stranger
			}
		}
	}
	return all
}

// inspect reads a process; false if it has ended or has nothing to do with the directory.
func inspect(pid int, dir string) (proc, bool) {
	base := filepath.Join("/proc", strconv.Itoa(pid))
	line, err := os.ReadFile(filepath.Join(base, "cmdline"))
	if err != nil || len(line) == 0 {
		return proc{}, false
	}
	program, _ := os.Readlink(filepath.Join(base, "exe"))
	folder, _ := os.Readlink(filepath.Join(base, "cwd"))
	if !bytes.Contains(line, []byte(dir)) && !strings.HasPrefix(program, dir) && !strings.HasPrefix(folder, dir) {
		return proc{}, false
	}
	stat, err := os.ReadFile(filepath.Join(base, "stat"))
	if err != nil {
		return proc{}, false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 2 || fields[0] == "Z" || fields[0] == "X" {
		return proc{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	return proc{
		pid: pid, parent: parent, state: fields[0][0],
		args: strings.Split(strings.TrimRight(string(line), "\x00"), "\x00"),
	}, err == nil
}

// role is what the arguments of a process say that it is.
func role(args []string) kind {
	if filepath.Base(args[0]) != "weir" || len(args) < 2 {
		return stranger
	}
	switch {
	case args[1] == "jobmanager":
		return jobManager
	case args[1] == "taskmanager":
		return taskManager
	case slices.Contains(args, "up"):
		return supervisor
	default:
		return stranger
	}
}

// of picks the processes of a kind.
func of(all []proc, k kind) []proc {
	return slices.DeleteFunc(slices.Clone(all), func(p proc) bool { return p.kind != k })
}

// send sends a signal to a process; one that has ended meanwhile is none of our business any more.
func send(t testing.TB, p proc, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(p.pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatalf("signal %v to %v: %v", s, p, err)
	}
}

// alive tells whether a process still runs, be it stopped.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// sockets lists the unix sockets below a directory that a process still listens on or uses.
func sockets(t testing.TB, dir string) []string {
	t.Helper()
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		if i := strings.Index(line, dir); i >= 0 {
			all = append(all, strings.TrimSpace(line[i:]))
		}
	}
	return all
}
