// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"strings"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// FlinkVersion is the version of Flink whose REST API is served.
const FlinkVersion = "2.3.0"

type configAnswer struct {
	RefreshInterval int64          `json:"refresh-interval"`
	TimeZoneName    string         `json:"timezone-name"`
	TimeZoneOffset  int            `json:"timezone-offset"`
	FlinkVersion    string         `json:"flink-version"`
	FlinkRevision   string         `json:"flink-revision"`
	WeirVersion     string         `json:"weir-version"`
	Features        featuresAnswer `json:"features"`
}

type featuresAnswer struct {
	Submit  bool `json:"web-submit"`
	Cancel  bool `json:"web-cancel"`
	Rescale bool `json:"web-rescale"`
	History bool `json:"web-history"`
}

func (a *API) dashboardConfig(*http.Request) (any, error) {
	name, offset := a.now().Zone()
	info := a.cluster.Self.Info()
	return configAnswer{
		RefreshInterval: a.config.RefreshInterval.Milliseconds(),
		TimeZoneName:    name, TimeZoneOffset: offset * 1000,
		FlinkVersion: FlinkVersion, FlinkRevision: revision(info), WeirVersion: info.Version,
		Features: featuresAnswer{Submit: !a.config.HideSubmit, Cancel: !a.config.HideCancel},
	}, nil
}

// revision is shown where Flink shows that of its source.
func revision(info Info) string {
	return "weir " + info.Version + " @ " + info.Commit
}

type overviewAnswer struct {
	TaskManagers   int    `json:"taskmanagers"`
	SlotsTotal     int    `json:"slots-total"`
	SlotsAvailable int    `json:"slots-available"`
	JobsRunning    int    `json:"jobs-running"`
	JobsFinished   int    `json:"jobs-finished"`
	JobsCancelled  int    `json:"jobs-cancelled"`
	JobsFailed     int    `json:"jobs-failed"`
	FlinkVersion   string `json:"flink-version"`
	FlinkCommit    string `json:"flink-commit"`
	WeirVersion    string `json:"weir-version"`
	WeirCommit     string `json:"weir-commit"`
}

func (a *API) overview(r *http.Request) (any, error) {
	workers, err := a.cluster.Workers.List(r.Context())
	if err != nil {
		return nil, err
	}
	jobs, err := a.cluster.Jobs.Summaries(r.Context())
	if err != nil {
		return nil, err
	}
	info := a.cluster.Self.Info()
	o := overviewAnswer{
		TaskManagers: len(workers), FlinkVersion: FlinkVersion, FlinkCommit: info.Commit,
		WeirVersion: info.Version, WeirCommit: info.Commit,
	}
	for _, w := range workers {
		o.SlotsTotal += len(w.Report.Slots)
		o.SlotsAvailable += freeSlots(w.Report)
	}
	for _, j := range jobs {
		switch j.State {
		case "FINISHED":
			o.JobsFinished++
		case "CANCELED":
			o.JobsCancelled++
		case "FAILED":
			o.JobsFailed++
		default:
			o.JobsRunning++
		}
	}
	return o, nil
}

// freeSlots counts those that a job can be given; a Worker that drains has none.
func freeSlots(r *weirpb.TaskManagerReport) int {
	n := 0
	for _, s := range r.Slots {
		if s.AllocationId == "" && !r.Draining {
			n++
		}
	}
	return n
}

func (a *API) shutdown(r *http.Request) (any, error) {
	if err := a.cluster.Self.Shutdown(r.Context()); err != nil {
		return nil, err
	}
	return empty{}, nil
}

func (a *API) datasets(*http.Request) (any, error) {
	return map[string][]any{"dataSets": {}}, nil
}

// answerWith makes a handler of what is not there.
func answerWith(status int, text string) handler {
	return func(*http.Request) (any, error) { return nil, refuse(status, "%s", text) }
}

// ofJob makes a handler below a job of one that does not depend on it: the job has to exist.
func (a *API) ofJob(h handler) handler {
	return func(r *http.Request) (any, error) {
		id, err := idOf(r, "job")
		if err != nil {
			return nil, err
		}
		if _, err := a.cluster.Jobs.Summary(r.Context(), id); err != nil {
			return nil, err
		}
		return h(r)
	}
}

func replaceOwner(pattern, owner string) string { return strings.Replace(pattern, "%s", owner, 1) }

type clusterAnswer struct {
	WeirVersion string `json:"weir-version"`
	WeirCommit  string `json:"weir-commit"`
	ClusterID   string `json:"cluster-id"`
	LeaderEpoch int64  `json:"leader-epoch"`
	StartTime   int64  `json:"start-time"`
	Now         int64  `json:"now"`
}

// clusterInfo tells who answers.
func (a *API) clusterInfo(*http.Request) (any, error) {
	info := a.cluster.Self.Info()
	return clusterAnswer{
		WeirVersion: info.Version, WeirCommit: info.Commit, ClusterID: info.ClusterID, LeaderEpoch: info.LeaderEpoch,
		StartTime: info.Started.UnixMilli(), Now: a.now().UnixMilli(),
	}, nil
}
