// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

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

// kind is what a process of a cluster is.
type kind string

const (
	supervisor  kind = "supervisor"
	jobManager  kind = "JobManager"
	taskManager kind = "TaskManager"
	jobMaster   kind = "JobMaster"
	executor    kind = "executor"
)

// tree lists the processes of a cluster by what they are: the supervisor, its children and theirs.
func tree(root int) map[kind][]int {
	all := map[kind][]int{supervisor: {root}}
	for _, child := range children(root) {
		line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(child), "cmdline"))
		if err != nil {
			continue // it has ended
		}
		own, below := taskManager, executor
		if bytes.Contains(line, []byte("\x00jobmanager\x00")) {
			own, below = jobManager, jobMaster
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

// memory is what a process takes: pages in RAM, and those of them that no other process has.
type memory struct{ resident, private int64 }

func memoryOf(pid int) (m memory, err error) {
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
			m.resident = n << 10
		case "Private_Clean:", "Private_Dirty:":
			m.private += n << 10
		}
	}
	return m, nil
}

// cpu is the time that processes have run, by the scheduler's own clock.
func cpu(pids ...int) (sum time.Duration) {
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

// load is the load average of the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// machine names the processor.
func machine() string {
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
