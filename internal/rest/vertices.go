// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"strconv"

	"github.com/weir-stream/weir/internal/metrics"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// currentAttempts are the current attempts of subtasks.
func currentAttempts(subtasks []*weirpb.SubtaskDetail) []*weirpb.AttemptDetail {
	attempts := make([]*weirpb.AttemptDetail, 0, len(subtasks))
	for _, s := range subtasks {
		if s.Current != nil {
			attempts = append(attempts, s.Current)
		}
	}
	return attempts
}

// find returns the vertex in the path, with the job.
func (a *API) find(r *http.Request) (*view, *weirpb.VertexDetail, error) {
	id, err := idOf(r, "vertex")
	if err != nil {
		return nil, nil, err
	}
	v, err := a.view(r)
	if err != nil {
		return nil, nil, err
	}
	for _, vertex := range v.Vertices {
		if vertex.Id == id {
			return v, vertex, nil
		}
	}
	return nil, nil, notFound("job %s has no vertex %s", v.JobId, id)
}

// findSubtask returns the subtask in the path, with the job.
func (a *API) findSubtask(r *http.Request) (*view, *weirpb.SubtaskDetail, error) {
	index, err := indexOf(r, "subtask")
	if err != nil {
		return nil, nil, err
	}
	v, vertex, err := a.find(r)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range vertex.Subtasks {
		if int(s.Index) == index && s.Current != nil {
			return v, s, nil
		}
	}
	return nil, nil, notFound("vertex %s of job %s has no subtask %d", vertex.Id, v.JobId, index)
}

// findAttempt returns the attempt in the path, by its number.
func (a *API) findAttempt(r *http.Request) (*view, *weirpb.SubtaskDetail, *weirpb.AttemptDetail, error) {
	number, err := indexOf(r, "attempt")
	if err != nil {
		return nil, nil, nil, err
	}
	v, s, err := a.findSubtask(r)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, at := range append([]*weirpb.AttemptDetail{s.Current}, s.Past...) {
		if int(at.Number) == number {
			return v, s, at, nil
		}
	}
	return nil, nil, nil, notFound("subtask %d has no attempt %d, or it is no longer remembered", s.Index, number)
}

type vertexAnswer struct {
	ID             string        `json:"id"`
	Name           string        `json:"name"`
	Parallelism    int32         `json:"parallelism"`
	MaxParallelism int32         `json:"maxParallelism"`
	Now            int64         `json:"now"`
	Subtasks       []subtaskItem `json:"subtasks"`
	Aggregated     aggregated    `json:"aggregated"`
}

type subtaskItem struct {
	Subtask   int32     `json:"subtask"`
	Status    string    `json:"status"`
	Attempt   int32     `json:"attempt"`
	Endpoint  string    `json:"endpoint"`
	StartTime int64     `json:"start-time"`
	EndTime   int64     `json:"end-time"`
	Duration  int64     `json:"duration"`
	Metrics   ioMetrics `json:"metrics"`
	// TaskManagerID and the rest as in Flink, the start twice.
	TaskManagerID  string           `json:"taskmanager-id"`
	StatusDuration map[string]int64 `json:"status-duration"`
	StartTimeToo   int64            `json:"start_time"`
	// AttemptID, Failure and Watermark are Weir's.
	AttemptID int64  `json:"attempt-id"`
	Failure   string `json:"failure,omitempty"`
}

func (v *view) subtaskItem(index int32, at *weirpb.AttemptDetail) subtaskItem {
	start, end, duration := v.span([]*weirpb.AttemptDetail{at})
	return subtaskItem{
		Subtask: index, Status: at.State, Attempt: at.Number, Endpoint: endpointOf(at), StartTime: start, EndTime: end,
		Duration: duration, Metrics: sumMetrics([]*weirpb.AttemptDetail{at}), TaskManagerID: orUnassigned(at.TaskManager),
		StatusDuration: v.statusDurations(at), StartTimeToo: start, AttemptID: at.Id, Failure: at.Failure,
	}
}

// unassigned stands for the place of what has none yet.
const unassigned = "(unassigned)"

func orUnassigned(s string) string {
	if s == "" {
		return unassigned
	}
	return s
}

// endpointOf is where an attempt runs: host and port, or the host alone where its exchange has no port.
func endpointOf(at *weirpb.AttemptDetail) string {
	if at.Endpoint != "" && at.Endpoint[0] != '/' {
		return at.Endpoint
	}
	return orUnassigned(at.Host)
}

func (a *API) vertex(r *http.Request) (any, error) {
	v, vertex, err := a.find(r)
	if err != nil {
		return nil, err
	}
	body := vertexAnswer{
		ID: vertex.Id, Name: vertex.Name, Parallelism: vertex.Parallelism, MaxParallelism: vertex.MaxParallelism,
		Now: v.now, Subtasks: []subtaskItem{}, Aggregated: v.aggregate(currentAttempts(vertex.Subtasks)),
	}
	for _, s := range vertex.Subtasks {
		if s.Current != nil {
			body.Subtasks = append(body.Subtasks, v.subtaskItem(s.Index, s.Current))
		}
	}
	return body, nil
}

func (a *API) subtask(r *http.Request) (any, error) {
	v, s, err := a.findSubtask(r)
	if err != nil {
		return nil, err
	}
	return v.subtaskItem(s.Index, s.Current), nil
}

func (a *API) attempt(r *http.Request) (any, error) {
	v, s, at, err := a.findAttempt(r)
	if err != nil {
		return nil, err
	}
	return v.subtaskItem(s.Index, at), nil
}

type backPressureAnswer struct {
	Status       string                `json:"status"`
	Level        string                `json:"backpressureLevel"`
	LevelToo     string                `json:"backpressure-level"`
	EndTimestamp int64                 `json:"end-timestamp"`
	Subtasks     []backPressureSubtask `json:"subtasks"`
}

type backPressureSubtask struct {
	Subtask   int32  `json:"subtask"`
	Level     string `json:"backpressureLevel"`
	LevelToo  string `json:"backpressure-level"`
	Ratio     number `json:"ratio"`
	IdleRatio number `json:"idleRatio"`
	BusyRatio number `json:"busyRatio"`
}

// backPressure tells how much of their time subtasks wait for credit of those behind them.
func (a *API) backPressure(r *http.Request) (any, error) {
	v, vertex, err := a.find(r)
	if err != nil {
		return nil, err
	}
	body := backPressureAnswer{Status: "ok", EndTimestamp: v.now, Subtasks: []backPressureSubtask{}}
	worst := 0.0
	for _, s := range vertex.Subtasks {
		if s.Current == nil {
			continue
		}
		rates := v.rates[s.Current.Id]
		ratio := rates.Backpressured / 1000
		worst = max(worst, ratio)
		body.Subtasks = append(body.Subtasks, backPressureSubtask{
			Subtask: s.Index, Level: backPressureLevel(ratio), LevelToo: backPressureLevel(ratio), Ratio: number(ratio),
			IdleRatio: number(rates.Idle / 1000), BusyRatio: number(rates.Busy / 1000),
		})
	}
	body.Level = backPressureLevel(worst)
	body.LevelToo = body.Level
	return body, nil
}

// backPressureLevel is Flink's name of a ratio.
func backPressureLevel(ratio float64) string {
	switch {
	case ratio <= 0.10:
		return "ok"
	case ratio <= 0.5:
		return "low"
	}
	return "high"
}

// flameGraph answers as Flink does where flame graphs are off.
func (a *API) flameGraph(r *http.Request) (any, error) {
	if _, _, err := a.find(r); err != nil {
		return nil, err
	}
	const disabled = -2
	return map[string]int64{"endTimestamp": disabled}, nil
}

func (a *API) watermarks(r *http.Request) (any, error) {
	_, vertex, err := a.find(r)
	if err != nil {
		return nil, err
	}
	values := []metricValue{}
	for _, s := range vertex.Subtasks {
		if operators := s.Current.GetMetrics().GetOperators(); len(operators) > 0 {
			values = append(values, metricValue{
				ID:    strconv.Itoa(int(s.Index)) + ".currentInputWatermark",
				Value: strconv.FormatInt(metrics.WatermarkMillis(operators[0]), 10),
			})
		}
	}
	return values, nil
}

type subtaskTimesAnswer struct {
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Now      int64          `json:"now"`
	Subtasks []subtaskTimes `json:"subtasks"`
}

type subtaskTimes struct {
	Subtask    int32            `json:"subtask"`
	Endpoint   string           `json:"endpoint"`
	Duration   int64            `json:"duration"`
	Timestamps map[string]int64 `json:"timestamps"`
}

func (a *API) subtaskTimes(r *http.Request) (any, error) {
	v, vertex, err := a.find(r)
	if err != nil {
		return nil, err
	}
	body := subtaskTimesAnswer{ID: vertex.Id, Name: vertex.Name, Now: v.now, Subtasks: []subtaskTimes{}}
	for _, s := range vertex.Subtasks {
		if s.Current == nil {
			continue
		}
		t := subtaskTimes{Subtask: s.Index, Endpoint: endpointOf(s.Current), Timestamps: map[string]int64{}}
		for _, state := range taskStates {
			t.Timestamps[state] = s.Current.Timestamps[state]
		}
		// The duration is from when it was scheduled, as in Flink.
		if from := s.Current.Timestamps["SCHEDULED"]; from > 0 {
			_, end, _ := v.span([]*weirpb.AttemptDetail{s.Current})
			_, t.Duration = endAndDuration(from, end, v.now)
		} else {
			t.Duration = -1
		}
		body.Subtasks = append(body.Subtasks, t)
	}
	return body, nil
}

type vertexTaskManagersAnswer struct {
	ID           string              `json:"id"`
	Name         string              `json:"name"`
	Now          int64               `json:"now"`
	TaskManagers []vertexTaskManager `json:"taskmanagers"`
}

type vertexTaskManager struct {
	Endpoint      string         `json:"endpoint"`
	Status        string         `json:"status"`
	StartTime     int64          `json:"start-time"`
	EndTime       int64          `json:"end-time"`
	Duration      int64          `json:"duration"`
	Metrics       ioMetrics      `json:"metrics"`
	StatusCounts  map[string]int `json:"status-counts"`
	TaskManagerID string         `json:"taskmanager-id"`
	Aggregated    aggregated     `json:"aggregated"`
}

// vertexTaskManagers groups the subtasks of a vertex by where they run, in the order of their first subtask.
func (a *API) vertexTaskManagers(r *http.Request) (any, error) {
	v, vertex, err := a.find(r)
	if err != nil {
		return nil, err
	}
	var order []string
	groups := map[string][]*weirpb.SubtaskDetail{}
	for _, s := range vertex.Subtasks {
		if s.Current == nil {
			continue
		}
		tm := orUnassigned(s.Current.TaskManager)
		if groups[tm] == nil {
			order = append(order, tm)
		}
		groups[tm] = append(groups[tm], s)
	}
	body := vertexTaskManagersAnswer{ID: vertex.Id, Name: vertex.Name, Now: v.now, TaskManagers: []vertexTaskManager{}}
	for _, tm := range order {
		attempts := currentAttempts(groups[tm])
		counts := countStates(groups[tm])
		start, end, duration := v.span(attempts)
		body.TaskManagers = append(body.TaskManagers, vertexTaskManager{
			Endpoint: endpointOf(attempts[0]), Status: aggregateState(counts, len(attempts)), StartTime: start, EndTime: end,
			Duration: duration, Metrics: sumMetrics(attempts), StatusCounts: counts, TaskManagerID: tm,
			Aggregated: v.aggregate(attempts),
		})
	}
	return body, nil
}

// aggregateState is the state of several subtasks by Flink's rule.
func aggregateState(counts map[string]int, total int) string {
	for _, state := range []string{"FAILED", "CANCELING", "CANCELED", "INITIALIZING", "RUNNING", "RECONCILING"} {
		if counts[state] > 0 {
			return state
		}
	}
	if counts["FINISHED"] > 0 {
		if counts["FINISHED"] == total {
			return "FINISHED"
		}
		return "RUNNING"
	}
	for _, state := range []string{"DEPLOYING", "SCHEDULED"} {
		if counts[state] > 0 {
			return state
		}
	}
	return "CREATED"
}
