// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// accumulator is a counter of user code in the form of Flink's accumulators.
type accumulator struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

// accumulatorsOf sums the counters of user code over attempts, ordered by name.
func accumulatorsOf(attempts []*weirpb.AttemptDetail) []accumulator {
	sums := map[string]int64{}
	for _, at := range attempts {
		for _, o := range at.GetMetrics().GetOperators() {
			for name, n := range o.Counters {
				sums[name] += n
			}
		}
	}
	list := []accumulator{}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		list = append(list, accumulator{Name: name, Type: "LongCounter", Value: strconv.FormatInt(sums[name], 10)})
	}
	return list
}

type jobAccumulatorsAnswer struct {
	Job  []accumulator `json:"job-accumulators"`
	User []accumulator `json:"user-task-accumulators"`
	// Serialized would hold Java objects; it is empty.
	Serialized map[string]string `json:"serialized-user-task-accumulators"`
}

func (a *API) jobAccumulators(r *http.Request) (any, error) {
	v, err := a.view(r)
	if err != nil {
		return nil, err
	}
	var attempts []*weirpb.AttemptDetail
	for _, vertex := range v.Vertices {
		attempts = append(attempts, currentAttempts(vertex.Subtasks)...)
	}
	return jobAccumulatorsAnswer{
		Job: []accumulator{}, User: accumulatorsOf(attempts), Serialized: map[string]string{},
	}, nil
}

type vertexAccumulatorsAnswer struct {
	ID   string        `json:"id"`
	User []accumulator `json:"user-accumulators"`
}

func (a *API) vertexAccumulators(r *http.Request) (any, error) {
	_, vertex, err := a.find(r)
	if err != nil {
		return nil, err
	}
	return vertexAccumulatorsAnswer{ID: vertex.Id, User: accumulatorsOf(currentAttempts(vertex.Subtasks))}, nil
}

type subtasksAccumulatorsAnswer struct {
	ID          string                `json:"id"`
	Parallelism int32                 `json:"parallelism"`
	Subtasks    []subtaskAccumulators `json:"subtasks"`
}

type subtaskAccumulators struct {
	Subtask  int32         `json:"subtask"`
	Attempt  int32         `json:"attempt"`
	Endpoint string        `json:"endpoint"`
	User     []accumulator `json:"user-accumulators"`
}

func (a *API) subtasksAccumulators(r *http.Request) (any, error) {
	_, vertex, err := a.find(r)
	if err != nil {
		return nil, err
	}
	body := subtasksAccumulatorsAnswer{ID: vertex.Id, Parallelism: vertex.Parallelism, Subtasks: []subtaskAccumulators{}}
	for _, s := range vertex.Subtasks {
		if s.Current == nil {
			continue
		}
		body.Subtasks = append(body.Subtasks, subtaskAccumulators{
			Subtask: s.Index, Attempt: s.Current.Number, Endpoint: endpointOf(s.Current),
			User: accumulatorsOf([]*weirpb.AttemptDetail{s.Current}),
		})
	}
	return body, nil
}

type attemptAccumulatorsAnswer struct {
	Subtask int32         `json:"subtask"`
	Attempt int32         `json:"attempt"`
	ID      string        `json:"id"`
	User    []accumulator `json:"user-accumulators"`
}

func (a *API) attemptAccumulators(r *http.Request) (any, error) {
	_, s, at, err := a.findAttempt(r)
	if err != nil {
		return nil, err
	}
	return attemptAccumulatorsAnswer{
		Subtask: s.Index, Attempt: at.Number, ID: strconv.FormatInt(at.Id, 10),
		User: accumulatorsOf([]*weirpb.AttemptDetail{at}),
	}, nil
}
