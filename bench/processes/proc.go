// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package processes

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is what a process of a cluster is.
type Kind string

// The kinds.
const (
	Supervisor  Kind = "supervisor"
	JobManager  Kind = "JobManager"
	TaskManager Kind = "TaskManager"
	JobMaster   Kind = "JobMaster"
	Executor    Kind = "executor"
)

// Tree lists the processes of a cluster by what they are: the supervisor, its children and theirs.
func Tree(root int) map[Kind][]int {
	all := map[Kind][]int{Supervisor: {root}}
	for _, child := range children(root) {
		line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(child), "cmdline"))
		if err != nil {
			continue // it has ended
		}
		own, below := TaskManager, Executor
		if bytes.Contains(line, []byte("\x00jobmanager\x00")) {
			own, below = JobManager, JobMaster
		}
		all[own] = append(all[own], child)
		all[below] = append(all[below], children(child)...)
	}
	for _, pids := range all {
		slices.Sort(pids)
	}
	return all
}

// children lists the processes that a process has started and that have not ended.
func children(pid int) (all []int) {
	lists, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	if err != nil {
		return nil
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for f := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(f); err == nil {
				all = append(all, n)
			}
		}
	}
	return all
}

// Memory is what a process takes: pages in RAM, and those of them that no other process has.
type Memory struct{ Resident, Private int64 }

// MemoryOf returns that of a process.
func MemoryOf(pid int) (m Memory, err error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
	if err != nil {
		return m, err
	}
	for line := range bytes.Lines(text) {
		f := strings.Fields(string(line))
		if len(f) != 3 {
			continue
		}
		n, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			return m, fmt.Errorf("memory of process %d: %w", pid, err)
		}
		switch f[0] {
		case "Rss:":
			m.Resident = n << 10
		case "Private_Clean:", "Private_Dirty:":
			m.Private += n << 10
		}
	}
	return m, nil
}

// CPU is the time that processes have run, by the scheduler's own clock.
func CPU(pids ...int) (sum time.Duration) {
	for _, pid := range pids {
		names, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "schedstat"))
		if err != nil {
			continue
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				continue // the thread has ended
			}
			first, _, _ := strings.Cut(string(text), " ")
			if nanos, err := strconv.ParseInt(first, 10, 64); err == nil {
				sum += time.Duration(nanos)
			}
		}
	}
	return sum
}

// ticksPerSecond is the unit of /proc/PID/stat, which is the same on all platforms of Linux that we run on.
const ticksPerSecond = 100

// Spent is the CPU time of processes, and of those of their children that have ended.
func Spent(pids ...int) (sum time.Duration, err error) {
	for _, pid := range pids {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			return 0, err
		}
		// The name comes second, in parentheses, and may have spaces; utime, stime, cutime and cstime are numbers 14 to 17.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) < 15 {
			return 0, fmt.Errorf("process %d: /proc/%[1]d/stat has %d fields", pid, len(fields))
		}
		for _, f := range fields[11:15] {
			ticks, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
			}
			sum += time.Duration(ticks) * (time.Second / ticksPerSecond)
		}
	}
	return sum, nil
}

// Load is the load average of the last minute.
func Load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// Machine names the processor.
func Machine() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "an unknown machine"
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, " \t:\n")
		}
	}
	return "an unknown machine"
}
