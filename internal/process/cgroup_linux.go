// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

const (
	// cgroupMount is where systems have version 2 of cgroups, if that alone.
	cgroupMount = "/sys/fs/cgroup"
	// supervisorGroup is the cgroup that this process moves to: one with processes can't have children with limits.
	supervisorGroup = "weir-supervisor"
	childGroup      = "weir-child-"
)

// Cgroups makes a cgroup for each child below that of this process. That takes a cgroup of version 2 that was handed over
// to this process alone, as a container's or a service's with delegation is.
type Cgroups struct {
	dir   string // of this process as it was started
	moved bool
	next  atomic.Int64
	close sync.Once
}

// OpenCgroups finds out whether children can have cgroups, and prepares that of this process. The error says why not.
func OpenCgroups() (*Cgroups, error) {
	path, err := ownCgroup("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	return openCgroups(filepath.Join(cgroupMount, path), os.Getpid())
}

// ownCgroup reads the path of the cgroup of version 2 that this process is in.
func ownCgroup(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("find own cgroup: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return path, nil
		}
	}
	return "", errors.New("find own cgroup: this system has version 1 only")
}

func openCgroups(dir string, pid int) (*Cgroups, error) {
	g := &Cgroups{dir: dir}
	if !hasWord(filepath.Join(dir, "cgroup.controllers"), "memory") {
		return nil, fmt.Errorf("cgroup %s: the memory controller is not available", dir)
	}
	control := filepath.Join(dir, "cgroup.subtree_control")
	if hasWord(control, "memory") {
		return g, nil // a cgroup with limits below it has no processes: this is the root
	}
	if err := onlyMember(dir, pid); err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(dir, supervisorGroup), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("make cgroup: %w", err)
	}
	g.moved = true
	err := write(filepath.Join(dir, supervisorGroup, "cgroup.procs"), strconv.Itoa(pid))
	if err == nil {
		err = write(control, "+memory")
	}
	if err != nil {
		g.Close()
		return nil, fmt.Errorf("hand memory on to cgroups below %s: %w", dir, err)
	}
	return g, nil
}

// onlyMember returns an error if a cgroup has other processes than this one.
func onlyMember(dir string, pid int) error {
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return fmt.Errorf("list processes of cgroup: %w", err)
	}
	if members := strings.Fields(string(data)); len(members) != 1 || members[0] != strconv.Itoa(pid) {
		return fmt.Errorf("cgroup %s: it has other processes too, so it is not this one's to divide", dir)
	}
	return nil
}

// Close gives the cgroup back as it was. No child may be left.
func (g *Cgroups) Close() {
	if g == nil {
		return
	}
	g.close.Do(func() {
		if !g.moved {
			return
		}
		// Whoever manages the cgroup clears away what can't be undone here.
		_ = write(filepath.Join(g.dir, "cgroup.subtree_control"), "-memory")
		_ = write(filepath.Join(g.dir, "cgroup.procs"), strconv.Itoa(os.Getpid()))
		_ = os.Remove(filepath.Join(g.dir, supervisorGroup))
	})
}

// cgroup is that of one child; nil is none.
type cgroup struct {
	dir string
	fd  *os.File
}

// add makes a cgroup with a limit; nil if it can't be had, which is no reason not to start a child.
func (g *Cgroups) add(memoryBytes int64, logger *slog.Logger) *cgroup {
	if g == nil || memoryBytes <= 0 {
		return nil
	}
	dir := filepath.Join(g.dir, fmt.Sprintf("%s%d-%d", childGroup, os.Getpid(), g.next.Add(1)))
	c, err := makeCgroup(dir, memoryBytes)
	if err != nil {
		logger.Warn("memory of a process is not held by a cgroup", "error", err)
		return nil
	}
	return c
}

func makeCgroup(dir string, memoryBytes int64) (*cgroup, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make cgroup: %w", err)
	}
	c := &cgroup{dir: dir}
	err := write(filepath.Join(dir, "memory.max"), strconv.FormatInt(memoryBytes, 10))
	if err == nil {
		// Without swap, the limit is what it says; not each system has swap to be told of.
		_ = write(filepath.Join(dir, "memory.swap.max"), "0")
		err = write(filepath.Join(dir, "memory.oom.group"), "1")
	}
	if err == nil {
		c.fd, err = os.Open(dir)
	}
	if err != nil {
		c.remove()
		return nil, fmt.Errorf("limit memory of cgroup: %w", err)
	}
	return c, nil
}

// allow raises the limit.
func (c *cgroup) allow(memoryBytes int64) {
	if c != nil {
		// If it fails, the limit stays as it was, and its end will tell.
		_ = write(filepath.Join(c.dir, "memory.max"), strconv.FormatInt(memoryBytes, 10))
	}
}

// join has a child begin in the cgroup.
func (c *cgroup) join(a *syscall.SysProcAttr) {
	if c != nil {
		a.UseCgroupFD, a.CgroupFD = true, int(c.fd.Fd())
	}
}

// kill ends all processes in the cgroup, also those that left the group of processes.
func (c *cgroup) kill() {
	if c != nil {
		_ = write(filepath.Join(c.dir, "cgroup.kill"), "1") // kernels before 5.14 have only the group of processes
	}
}

// killedForMemory reports whether the kernel killed in the cgroup because of its limit.
func (c *cgroup) killedForMemory() bool {
	if c == nil {
		return false
	}
	data, err := os.ReadFile(filepath.Join(c.dir, "memory.events"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok && n != "0" {
			return true
		}
	}
	return false
}

// remove deletes the cgroup, whose processes have ended.
func (c *cgroup) remove() {
	if c == nil {
		return
	}
	if c.fd != nil {
		_ = c.fd.Close()
	}
	_ = os.Remove(c.dir) // one with a process that can't end just now stays, empty, until the one above goes
}

// write writes to a file of the kernel's, which must be there.
func write(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func hasWord(file, word string) bool {
	data, err := os.ReadFile(file)
	return err == nil && slices.Contains(strings.Fields(string(data)), word)
}
