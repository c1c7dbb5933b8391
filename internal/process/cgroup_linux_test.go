// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// fakeCgroup is a folder with the files of a cgroup, of which a file system that isn't the kernel's keeps what is written.
func fakeCgroup(t *testing.T, controllers, control, members string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, supervisorGroup), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"cgroup.controllers": controllers, "cgroup.subtree_control": control, "cgroup.procs": members,
		supervisorGroup + "/cgroup.procs": "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCgroupIsDivided(t *testing.T) {
	pid := os.Getpid()
	dir := fakeCgroup(t, "cpu memory pids", "", strconv.Itoa(pid)+"\n")
	g, err := openCgroups(dir, pid)
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		}
		return string(data)
	}
	if got := read("cgroup.subtree_control"); got != "+memory" {
		t.Errorf("handed on: %q", got)
	}
	if got := read(supervisorGroup + "/cgroup.procs"); got != strconv.Itoa(pid) {
		t.Errorf("moved: %q", got)
	}
	// Its files are not there, as in a kernel that refuses a limit: the child is started without.
	if c := g.add(1<<30, slog.New(slog.DiscardHandler)); c != nil {
		t.Errorf("a cgroup without a limit: %+v", c)
	}
	if left, err := filepath.Glob(filepath.Join(dir, childGroup+"*")); err != nil || len(left) > 0 {
		t.Errorf("left: %q, error %v", left, err)
	}
	g.Close()
	if got := read("cgroup.subtree_control"); got != "-memory" {
		t.Errorf("after the end: %q", got)
	}
}

func TestCgroupIsNotOurs(t *testing.T) {
	pid := os.Getpid()
	for _, tt := range []struct{ name, dir, want string }{
		{"no controller", fakeCgroup(t, "cpu", "", strconv.Itoa(pid)), "not available"},
		{"shared", fakeCgroup(t, "memory", "", strconv.Itoa(pid)+"\n1\n"), "other processes"},
		{"nothing", t.TempDir(), "not available"},
	} {
		if _, err := openCgroups(tt.dir, pid); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v", tt.name, err)
		}
	}
	if g, err := openCgroups(fakeCgroup(t, "memory", "memory", ""), pid); err != nil || g.moved {
		t.Errorf("root: %+v, error %v", g, err)
	}
}

func TestKilledForMemory(t *testing.T) {
	for text, want := range map[string]bool{"low 0\noom 2\noom_kill 1\n": true, "oom 0\noom_kill 0\n": false, "": false} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "memory.events"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := (&cgroup{dir: dir}).killedForMemory(); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
