// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

type applicationItem struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Status    string         `json:"status"`
	StartTime int64          `json:"start-time"`
	EndTime   int64          `json:"end-time"`
	Duration  int64          `json:"duration"`
	Jobs      map[string]int `json:"jobs"`
}

type applicationAnswer struct {
	ID         string           `json:"id"`
	Name       string           `json:"name"`
	Status     string           `json:"status"`
	StartTime  int64            `json:"start-time"`
	EndTime    int64            `json:"end-time"`
	Duration   int64            `json:"duration"`
	Timestamps map[string]int64 `json:"timestamps"`
	Jobs       []jobItem        `json:"jobs"`
}

// applicationStates are all states of an application, for answers that list each.
var applicationStates = []string{"CREATED", "RUNNING", "FAILING", "FAILED", "CANCELING", "CANCELED", "FINISHED"}

// endAndDuration returns what Flink shows: -1 as the end of what goes on.
func endAndDuration(start, end, now int64) (endTime, duration int64) {
	if start <= 0 {
		return -1, -1
	}
	if end <= 0 {
		return -1, max(0, now-start)
	}
	return end, max(0, end-start)
}

func (a *API) applications(r *http.Request) (any, error) {
	all, err := a.cluster.Jobs.Applications(r.Context())
	if err != nil {
		return nil, err
	}
	jobs, err := a.summaries(r.Context())
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(x, y Application) int {
		return cmp.Or(cmp.Compare(x.Start, y.Start), cmp.Compare(x.ID, y.ID))
	})
	items := make([]applicationItem, 0, len(all))
	for _, app := range all {
		i := applicationItem{ID: app.ID, Name: app.Name, Status: app.Status, StartTime: app.Start, Jobs: map[string]int{}}
		i.EndTime, i.Duration = endAndDuration(app.Start, app.End, a.now().UnixMilli())
		for _, id := range app.Jobs {
			if s := jobs[id]; s != nil {
				i.Jobs[s.State]++
			}
		}
		items = append(items, i)
	}
	return map[string][]applicationItem{"applications": items}, nil
}

// summaries are all jobs by id.
func (a *API) summaries(ctx context.Context) (map[string]*weirpb.JobSummary, error) {
	list, err := a.cluster.Jobs.Summaries(ctx)
	if err != nil {
		return nil, err
	}
	jobs := make(map[string]*weirpb.JobSummary, len(list))
	for _, s := range list {
		jobs[s.JobId] = s
	}
	return jobs, nil
}

// findApplication returns the one that the path names.
func (a *API) findApplication(r *http.Request) (Application, error) {
	id, err := idOf(r, "application")
	if err != nil {
		return Application{}, err
	}
	all, err := a.cluster.Jobs.Applications(r.Context())
	if err != nil {
		return Application{}, err
	}
	for _, app := range all {
		if app.ID == id {
			return app, nil
		}
	}
	return Application{}, notFound("there is no application %s", id)
}

// applicationOf returns the id of the application of a job.
func (a *API) applicationOf(ctx context.Context, job string) (string, error) {
	all, err := a.cluster.Jobs.Applications(ctx)
	if err != nil {
		return "", err
	}
	for _, app := range all {
		if slices.Contains(app.Jobs, job) {
			return app.ID, nil
		}
	}
	return job, nil
}

func (a *API) application(r *http.Request) (any, error) {
	app, err := a.findApplication(r)
	if err != nil {
		return nil, err
	}
	jobs, err := a.summaries(r.Context())
	if err != nil {
		return nil, err
	}
	now := a.now().UnixMilli()
	body := applicationAnswer{
		ID: app.ID, Name: app.Name, Status: app.Status, StartTime: app.Start, Jobs: []jobItem{},
		Timestamps: map[string]int64{},
	}
	body.EndTime, body.Duration = endAndDuration(app.Start, app.End, now)
	for _, state := range applicationStates {
		body.Timestamps[state] = app.Timestamps[state]
	}
	for _, id := range app.Jobs {
		if s := jobs[id]; s != nil {
			body.Jobs = append(body.Jobs, jobItemOf(s, now))
		}
	}
	return body, nil
}

func (a *API) cancelApplication(r *http.Request) (any, error) {
	id, err := idOf(r, "application")
	if err != nil {
		return nil, err
	}
	if err := a.cluster.Jobs.CancelApplication(r.Context(), id); err != nil {
		return nil, err
	}
	return answer{http.StatusAccepted, empty{}}, nil
}

type applicationException struct {
	ExceptionName string `json:"exceptionName"`
	StackTrace    string `json:"stacktrace"`
	Timestamp     int64  `json:"timestamp"`
	JobID         string `json:"jobId"`
}

// applicationExceptions lists why the application and those of its jobs that failed did so, newest first.
func (a *API) applicationExceptions(r *http.Request) (any, error) {
	app, err := a.findApplication(r)
	if err != nil {
		return nil, err
	}
	jobs, err := a.summaries(r.Context())
	if err != nil {
		return nil, err
	}
	entries := []applicationException{}
	add := func(f *weirpb.FailureDetail, job string) {
		entries = append(entries, applicationException{
			ExceptionName: exceptionName(f.Kind), StackTrace: f.Text, Timestamp: f.At, JobID: job,
		})
	}
	for _, f := range app.Failures {
		add(f, "")
	}
	for _, id := range app.Jobs {
		s := jobs[id]
		if s == nil || s.State != "FAILED" {
			continue
		}
		f := &weirpb.FailureDetail{At: s.EndUnixMillis, Text: s.Result.GetError()}
		if d, err := a.cluster.Jobs.Detail(r.Context(), id); err == nil && d.Cause != nil {
			f = d.Cause
		}
		add(f, id)
	}
	slices.SortStableFunc(entries, func(x, y applicationException) int { return cmp.Compare(y.Timestamp, x.Timestamp) })
	return map[string]any{"exceptionHistory": map[string]any{"entries": entries}}, nil
}

func (a *API) applicationConfig(r *http.Request) (any, error) {
	if _, err := a.findApplication(r); err != nil {
		return nil, err
	}
	return a.jobManagerConfig(r)
}
