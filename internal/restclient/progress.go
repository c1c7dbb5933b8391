// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package restclient

import (
	"context"
	"io"
	"net/url"
	"strconv"
)

// Progress is how a job is doing. Times are Unix milliseconds.
type Progress struct {
	ID           string         `json:"jid"`
	Name         string         `json:"name"`
	State        string         `json:"state"`
	StartTime    int64          `json:"start-time"`
	EndTime      int64          `json:"end-time"`
	Now          int64          `json:"now"`
	Tasks        map[string]int `json:"tasks"`
	SlotsNeeded  int            `json:"slots-needed"`
	SlotsMissing int            `json:"slots-missing"`
	Restarts     int64          `json:"restarts"`
	// Failure is why the job failed, or the newest failure after which it went on.
	Failure    string `json:"failure"`
	RecordsIn  int64  `json:"records-in"`
	RecordsOut int64  `json:"records-out"`
	// Watermark is in milliseconds since 1970, nil while a task has none.
	Watermark              *int64 `json:"watermark"`
	Holder                 string `json:"watermark-holder"`
	LastCheckpoint         int64  `json:"last-checkpoint"`
	LastCheckpointTime     int64  `json:"last-checkpoint-time"`
	LastCheckpointDuration int64  `json:"last-checkpoint-duration"`
	LastCheckpointBytes    int64  `json:"last-checkpoint-bytes"`
}

// Ended tells whether the job is in a state that it does not leave.
func (p *Progress) Ended() bool {
	return p.State == "FINISHED" || p.State == "FAILED" || p.State == "CANCELED"
}

// Progress returns how a job is doing.
func (c *Client) Progress(ctx context.Context, id string) (*Progress, error) {
	p := &Progress{}
	return p, c.Get(ctx, "/weir/jobs/"+url.PathEscape(id)+"/progress", p)
}

// LogFile is a log of a process of a job. Source is the TaskManager that it ran on, or the JobManager.
type LogFile struct {
	Source string `json:"source"`
	Name   string `json:"name"`
	Size   int64  `json:"size"`
}

// JobLogs lists the logs of the processes of a job.
func (c *Client) JobLogs(ctx context.Context, id string) ([]LogFile, error) {
	var answer struct {
		Logs []LogFile `json:"logs"`
	}
	err := c.Get(ctx, "/weir/jobs/"+url.PathEscape(id)+"/logs", &answer)
	return answer.Logs, err
}

// JobLog returns a log of a job from an offset on, to be closed by the caller.
func (c *Client) JobLog(ctx context.Context, id string, f LogFile, offset int64) (io.ReadCloser, error) {
	return c.Stream(ctx, "/weir/jobs/"+url.PathEscape(id)+"/logs/"+url.PathEscape(f.Source)+"/"+url.PathEscape(f.Name)+
		"?offset="+strconv.FormatInt(offset, 10))
}

// ClusterInfo is who answers.
type ClusterInfo struct {
	Version string `json:"weir-version"`
	ID      string `json:"cluster-id"`
	// Platform is GOOS/GOARCH of its machines.
	Platform string `json:"platform"`
}

// Cluster tells who answers.
func (c *Client) Cluster(ctx context.Context) (*ClusterInfo, error) {
	i := &ClusterInfo{}
	return i, c.Get(ctx, "/weir/cluster", i)
}

// TaskManager is a line of the list of TaskManagers.
type TaskManager struct {
	ID            string `json:"id"`
	Path          string `json:"path"`
	Slots         int    `json:"slotsNumber"`
	FreeSlots     int    `json:"freeSlots"`
	SinceHeard    int64  `json:"timeSinceLastHeartbeat"`
	AssignedTasks int    `json:"assignedTasks"`
	Version       string `json:"weir-version"`
	Draining      bool   `json:"draining"`
	Memory        struct {
		Process int64 `json:"totalProcessMemory"`
	} `json:"memoryConfiguration"`
}

// TaskManagers lists those that are registered.
func (c *Client) TaskManagers(ctx context.Context) ([]TaskManager, error) {
	var answer struct {
		TaskManagers []TaskManager `json:"taskmanagers"`
	}
	err := c.Get(ctx, "/taskmanagers", &answer)
	return answer.TaskManagers, err
}

// Drain has a TaskManager take no further work.
func (c *Client) Drain(ctx context.Context, id string) error {
	return c.Post(ctx, "/weir/taskmanagers/"+url.PathEscape(id)+"/drain", struct{}{}, nil)
}
