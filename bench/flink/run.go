// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package flink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/weir-stream/weir/bench/processes"
)

// Spent is what a query took: from the moment that its tasks run to its end, and of CPU time of the TaskManager.
type Spent struct {
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"`
}

// Run runs a script of SQL that submits one job, and waits for its end. The name must be new in the session.
func (s *Session) Run(ctx context.Context, name, script string) (took Spent, err error) {
	tm, err := s.taskManager(ctx)
	if err != nil {
		return took, err
	}
	defer func() {
		err = errors.Join(err, tm.stop())
		if gone := await(ctx, s.jm, func() bool { return s.rest.slots() == 0 }); err == nil {
			err = gone
		}
	}()
	before, err := processes.Spent(tm.cmd.Process.Pid)
	if err != nil {
		return took, err
	}
	if err := s.submit(ctx, name, script); err != nil {
		return took, err
	}
	j, err := s.end(ctx, name, tm)
	if err != nil {
		return took, err
	}
	after, err := processes.Spent(tm.cmd.Process.Pid)
	if err != nil {
		return took, err
	}
	took.CPUSeconds = (after - before).Seconds()
	took.Seconds = (time.Duration(j.End-j.Timestamps["RUNNING"]) * time.Millisecond).Seconds()
	return took, nil
}

// submit has the SQL client run the script.
func (s *Session) submit(ctx context.Context, name, script string) error {
	file := filepath.Join(s.config.Dir, name+".sql")
	script = fmt.Sprintf("SET 'pipeline.name' = '%s';\n%s", name, script)
	if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
		return err
	}
	out, err := s.java(ctx, "sql", "-cp", s.classPath(filepath.Join(s.home.dir, "opt", "*")),
		"org.apache.flink.table.client.SqlClient", "embedded", "-f", file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("submit %s to Flink: %w\n%s", name, err, out)
	}
	if s.rest.job(name) == nil {
		return fmt.Errorf("submit %s to Flink: there is no job of that name:\n%s", name, out)
	}
	return nil
}

// end waits for the end of a job.
func (s *Session) end(ctx context.Context, name string, tm *proc) (*job, error) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		if j := s.rest.job(name); j != nil && j.End > 0 {
			if j.State != "FINISHED" {
				return nil, fmt.Errorf("%s on Flink is %s: see %s", name, j.State, s.config.Dir)
			}
			return j, s.rest.get("/jobs/"+j.ID, j)
		}
		select {
		case <-ticker.C:
		case <-tm.ended:
			return nil, fmt.Errorf("%s on Flink: its TaskManager has ended: %w", name, tm.err)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// rest is the address of the JobManager.
type rest string

// job is what is read of one.
type job struct {
	ID         string           `json:"jid"`
	Name       string           `json:"name"`
	State      string           `json:"state"`
	End        int64            `json:"end-time"`
	Timestamps map[string]int64 `json:"timestamps"`
}

func (r rest) get(path string, into any) error {
	answer, err := http.Get(string(r) + path)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// slots is the number of slots of all TaskManagers, or -1 where nobody answers.
func (r rest) slots() int {
	var o struct {
		Slots *int `json:"slots-total"`
	}
	if r.get("/overview", &o) != nil || o.Slots == nil {
		return -1
	}
	return *o.Slots
}

// job finds one by its name, or nil.
func (r rest) job(name string) *job {
	var all struct {
		Jobs []job `json:"jobs"`
	}
	if r.get("/jobs/overview", &all) != nil {
		return nil
	}
	for i := range all.Jobs {
		if all.Jobs[i].Name == name {
			return &all.Jobs[i]
		}
	}
	return nil
}
