// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/weir-stream/weir/internal/restclient"
)

// jobAnswer is what of a job's detail is shown.
type jobAnswer struct {
	ID       string `json:"jid"`
	Name     string `json:"name"`
	State    string `json:"state"`
	Start    int64  `json:"start-time"`
	End      int64  `json:"end-time"`
	Duration int64  `json:"duration"`
	Vertices []struct {
		Name        string         `json:"name"`
		Parallelism int            `json:"parallelism"`
		Status      string         `json:"status"`
		Tasks       map[string]int `json:"tasks"`
		Metrics     struct {
			ReadRecords  int64 `json:"read-records"`
			WriteRecords int64 `json:"write-records"`
		} `json:"metrics"`
	} `json:"vertices"`
}

type checkpointsAnswer struct {
	Counts map[string]int64 `json:"counts"`
	Latest struct {
		Completed *struct {
			ID       int64 `json:"id"`
			Trigger  int64 `json:"trigger_timestamp"`
			Duration int64 `json:"end_to_end_duration"`
			Size     int64 `json:"state_size"`
		} `json:"completed"`
	} `json:"latest"`
}

type exceptionsAnswer struct {
	History struct {
		Entries []struct {
			Timestamp  int64  `json:"timestamp"`
			TaskName   string `json:"taskName"`
			Endpoint   string `json:"endpoint"`
			StackTrace string `json:"stacktrace"`
		} `json:"entries"`
	} `json:"exceptionHistory"`
}

// describe writes what three answers of the API say about a job.
func describe(w io.Writer, p *restclient.Progress, job, checkpoints, exceptions []byte) error {
	var j jobAnswer
	var c checkpointsAnswer
	var e exceptionsAnswer
	for _, part := range []struct {
		text []byte
		to   any
	}{{job, &j}, {checkpoints, &c}, {exceptions, &e}} {
		if err := json.Unmarshal(part.text, part.to); err != nil {
			return fmt.Errorf("answer of the JobManager: %w", err)
		}
	}
	fmt.Fprintf(w, "%s  %s  %s\n", j.ID, j.Name, paint(j.State, false, showsColours(w)))
	fmt.Fprintf(w, "started %s, ran %s\n", moment(j.Start), time.Duration(j.Duration)*time.Millisecond)
	if lacks := waiting(p); lacks != "" {
		fmt.Fprintln(w, lacks)
	}
	fmt.Fprintln(w)
	rows := [][]string{{"STEP", "STATE", "TASKS", "RECORDS IN", "RECORDS OUT"}}
	for _, v := range j.Vertices {
		rows = append(rows, []string{
			v.Name, v.Status, fmt.Sprintf("%d/%d running", v.Tasks["RUNNING"], v.Parallelism),
			strconv.FormatInt(v.Metrics.ReadRecords, 10), strconv.FormatInt(v.Metrics.WriteRecords, 10),
		})
	}
	table(w, rows)
	fmt.Fprintf(w, "\ncheckpoints: %d completed, %d failed, %d in progress\n",
		c.Counts["completed"], c.Counts["failed"], c.Counts["in_progress"])
	if l := c.Latest.Completed; l != nil {
		fmt.Fprintf(w, "the last, %d, at %s: took %v, %d bytes of state\n",
			l.ID, moment(l.Trigger), time.Duration(l.Duration)*time.Millisecond, l.Size)
	}
	for i, x := range e.History.Entries {
		if i == 0 {
			fmt.Fprintln(w, "\nfailures, the newest first:")
		}
		first, _, _ := strings.Cut(x.StackTrace, "\n")
		fmt.Fprintf(w, "%s  %s  %s\n", moment(x.Timestamp), x.TaskName, first)
	}
	return nil
}

// absolute resolves a path against the working directory; empty stays empty.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
