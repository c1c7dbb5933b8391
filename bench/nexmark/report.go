// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/weir-stream/weir/bench/flink"
	"github.com/weir-stream/weir/bench/processes"
	"github.com/weir-stream/weir/bench/program"
)

// spent is what a job or a loop took.
type spent struct {
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"`
	Objects    uint64  `json:"objects"`
	Rows       int64   `json:"rows"`
}

// spend measures run, which returns how many rows came out. CPU time is that of the process, user and kernel, all threads
// and the collector included; a collection before keeps out what came earlier.
func spend(run func() int64) spent {
	runtime.GC()
	objects, cpu, began := allocated(), program.CPUTime(), time.Now()
	rows := run()
	return spent{
		Seconds: time.Since(began).Seconds(), CPUSeconds: (program.CPUTime() - cpu).Seconds(), Objects: allocated() - objects, Rows: rows,
	}
}

// allocated is the number of objects that were allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// figures are those of a query.
type figures struct {
	Query string `json:"query"`
	Job   spent  `json:"job"`
	Hand  *spent `json:"hand,omitempty"`
	State *held  `json:"state,omitempty"`
	// Owned and Borrowed are the job where records go through sockets, with strings that are copied and with such that are
	// not.
	Owned    *spent `json:"owned,omitempty"`
	Borrowed *spent `json:"borrowed,omitempty"`
	// Flink is the same query on Flink in the same run; nil where that was not asked for, or there is none.
	Flink *flink.Spent `json:"flink,omitempty"`
	// PerSecond and PerCPUSecond are events; ObjectsPerEvent is of the job.
	PerSecond       float64 `json:"events_per_second"`
	PerCPUSecond    float64 `json:"events_per_cpu_second"`
	ObjectsPerEvent float64 `json:"objects_per_event"`
	FlinkPerCore    float64 `json:"flink_events_per_cpu_second,omitempty"`
	// TimesFlink is how many times as many events the job does in a CPU-second; TimesHand is how many times the CPU time
	// of the loop it takes. Zero where there is nothing to compare with.
	TimesFlink float64 `json:"times_flink,omitempty"`
	TimesHand  float64 `json:"times_hand,omitempty"`
	// CoresTimesHand is how many times as many events a second the job has on all its cores as the loop on its one; both by
	// the clock.
	CoresTimesHand float64 `json:"cores_times_hand,omitempty"`
	// OwnedPerCPUSecond and BorrowedPerCPUSecond are events.
	OwnedPerCPUSecond    float64 `json:"owned_events_per_cpu_second,omitempty"`
	BorrowedPerCPUSecond float64 `json:"borrowed_events_per_cpu_second,omitempty"`
	// FlinkHere is what Flink did in this run, in events per CPU-second of its TaskManager, FlinkPerSecond in events a second;
	// TimesFlinkHere is how many times as many events the job does in a CPU-second.
	FlinkHere      float64 `json:"flink_here_events_per_cpu_second,omitempty"`
	FlinkPerSecond float64 `json:"flink_here_events_per_second,omitempty"`
	TimesFlinkHere float64 `json:"times_flink_here,omitempty"`
}

func (f *figures) compare(events int64) {
	n := float64(events)
	f.PerSecond, f.PerCPUSecond = n/f.Job.Seconds, n/f.Job.CPUSeconds
	f.ObjectsPerEvent = float64(f.Job.Objects) / n
	if f.FlinkPerCore > 0 {
		f.TimesFlink = f.PerCPUSecond / f.FlinkPerCore
	}
	if f.Hand != nil {
		f.TimesHand = f.Job.CPUSeconds / f.Hand.CPUSeconds
		f.CoresTimesHand = f.Hand.Seconds / f.Job.Seconds
	}
	if f.Owned != nil {
		f.OwnedPerCPUSecond = n / f.Owned.CPUSeconds
	}
	if f.Borrowed != nil {
		f.BorrowedPerCPUSecond = n / f.Borrowed.CPUSeconds
	}
	if f.Flink != nil {
		f.FlinkHere, f.FlinkPerSecond = n/f.Flink.CPUSeconds, n/f.Flink.Seconds
		f.TimesFlinkHere = f.PerCPUSecond / f.FlinkHere
	}
}

// column is one of the table.
type column struct {
	name  string
	width int
	// form is that of its figures; a zero one that is not always there shows as a dash.
	form   string
	value  func(f *figures) float64
	always bool
}

// columns are those that the options ask for.
func (r *report) columns() []column {
	all := []column{
		{"events/s", 13, "%.0f", func(f *figures) float64 { return f.PerSecond }, true},
		{"events/CPU-s", 13, "%.0f", func(f *figures) float64 { return f.PerCPUSecond }, true},
		{"rows out", 12, "%.0f", func(f *figures) float64 { return float64(f.Job.Rows) }, true},
		{"objects/event", 13, "%.5f", func(f *figures) float64 { return f.ObjectsPerEvent }, true},
	}
	if r.state {
		all = append(all,
			column{"state KB", 9, "%.1f", func(f *figures) float64 { return float64(f.State.Bytes) / 1e3 }, true},
			column{"checkpoint ms", 13, "%.1f", func(f *figures) float64 { return f.State.Seconds * 1e3 }, true})
	}
	all = append(all, column{"x Flink", 8, "%.1f", func(f *figures) float64 { return f.TimesFlink }, false})
	if r.hand {
		all = append(all,
			column{"x loop", 7, "%.2f", func(f *figures) float64 { return f.TimesHand }, false},
			column{"cores/loop", 10, "%.2f", func(f *figures) float64 { return f.CoresTimesHand }, false})
	}
	if r.borrowed {
		all = append(all,
			column{"owned/CPU-s", 13, "%.0f", func(f *figures) float64 { return f.OwnedPerCPUSecond }, false},
			column{"borrowed/CPU-s", 14, "%.0f", func(f *figures) float64 { return f.BorrowedPerCPUSecond }, false})
	}
	if r.Flink != "" {
		all = append(all,
			column{"Flink/s", 9, "%.0f", func(f *figures) float64 { return f.FlinkPerSecond }, false},
			column{"Flink/CPU-s", 11, "%.0f", func(f *figures) float64 { return f.FlinkHere }, false},
			column{"x that", 7, "%.1f", func(f *figures) float64 { return f.TimesFlinkHere }, false})
	}
	return all
}

func (r *report) printRow(w io.Writer, f *figures) {
	fmt.Fprintf(w, "%-5s", f.Query)
	for _, c := range r.columns() {
		text := "-"
		if v := c.value(f); v != 0 || c.always {
			text = fmt.Sprintf(c.form, v)
		}
		fmt.Fprintf(w, " %*s", c.width, text)
	}
	fmt.Fprintln(w)
}

// report is a run with where it was.
type report struct {
	Machine            string    `json:"machine"`
	Cores              int       `json:"cores"`
	Go                 string    `json:"go"`
	Commit             string    `json:"commit"`
	At                 time.Time `json:"at"`
	Events             int64     `json:"events"`
	EventsPerSecond    int64     `json:"events_per_second_of_event_time"`
	OutOfOrder         int64     `json:"out_of_order"`
	Seed               uint64    `json:"seed"`
	Parallelism        int       `json:"parallelism"`
	CheckpointInterval string    `json:"checkpoint_interval"`
	// TaskManagers are those of the cluster; zero where the jobs were embedded.
	TaskManagers int `json:"taskmanagers,omitempty"`
	// Flink is the version that ran beside the jobs.
	Flink   string    `json:"flink,omitempty"`
	Queries []figures `json:"queries"`
	// hand, borrowed and state are what was asked for.
	hand, borrowed, state bool
}

func newReport(ctx context.Context, o *options) *report {
	r := &report{
		Machine: processes.Machine(), Cores: runtime.NumCPU(), Go: runtime.Version(), Commit: commit(ctx), At: time.Now().UTC(),
		Events: o.config.Events, EventsPerSecond: o.config.EventsPerSecond, OutOfOrder: o.config.OutOfOrder, Seed: o.config.Seed,
		Parallelism: o.parallelism, CheckpointInterval: o.checkpointInterval.String(),
		Flink: o.flinkVersion, hand: o.hand, borrowed: o.borrowed, state: o.state,
	}
	if o.cluster {
		r.TaskManagers = o.taskManagers
	}
	return r
}

func (r *report) printHead(w io.Writer) {
	fmt.Fprintf(w, "%s, %d cores, %s, commit %s\n%d events, parallelism %d, checkpoints every %s\n\n",
		r.Machine, r.Cores, r.Go, r.Commit, r.Events, r.Parallelism, r.CheckpointInterval)
	fmt.Fprintf(w, "%-5s", "query")
	for _, c := range r.columns() {
		fmt.Fprintf(w, " %*s", c.width, c.name)
	}
	fmt.Fprintln(w)
}

func (r *report) write(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// commit is that of the sources in the working directory, marked where they were changed.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
