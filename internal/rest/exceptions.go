// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"strings"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// jobFailureClass stands for the class of the error that a job ended with.
const jobFailureClass = "weir.JobFailed"

// exceptionName stands where Flink has the class of an exception: it tells who failed.
func exceptionName(k weirpb.FailureKind) string {
	switch k {
	case weirpb.FailureKind_FAILURE_KIND_USER:
		return "weir.UserCodeFailed"
	case weirpb.FailureKind_FAILURE_KIND_WORLD:
		return "weir.EnvironmentFailed"
	case weirpb.FailureKind_FAILURE_KIND_ENGINE:
		return "weir.EngineFailed"
	case weirpb.FailureKind_FAILURE_KIND_FATAL:
		return "weir.NotRecoverable"
	case weirpb.FailureKind_FAILURE_KIND_UNSPECIFIED:
	}
	return jobFailureClass
}

// failureLabels are those that Flink's own enricher gives.
func failureLabels(k weirpb.FailureKind) map[string]string {
	if k == weirpb.FailureKind_FAILURE_KIND_USER {
		return map[string]string{"type": "USER"}
	}
	return map[string]string{"type": "SYSTEM"}
}

type exceptionsAnswer struct {
	History exceptionHistory `json:"exceptionHistory"`
}

type exceptionHistory struct {
	Entries   []exceptionEntry `json:"entries"`
	Truncated bool             `json:"truncated"`
}

type exceptionItem struct {
	ExceptionName string            `json:"exceptionName"`
	StackTrace    string            `json:"stacktrace"`
	Timestamp     int64             `json:"timestamp"`
	TaskName      string            `json:"taskName"`
	Endpoint      string            `json:"endpoint"`
	TaskManagerID string            `json:"taskManagerId"`
	Labels        map[string]string `json:"failureLabels"`
}

type exceptionEntry struct {
	exceptionItem

	Concurrent []exceptionItem `json:"concurrentExceptions"`
}

const (
	exceptionsDefault = 20
	// concurrentMillis is how long after a failure others count as its company: a Worker that dies fails many tasks.
	concurrentMillis = 100
)

func exceptionOf(f *weirpb.FailureDetail) exceptionItem {
	task := f.Task
	if task == "" {
		task = "(global failure)"
	}
	return exceptionItem{
		ExceptionName: exceptionName(f.Kind), StackTrace: f.Text, Timestamp: f.At, TaskName: task,
		Endpoint: orUnassigned(f.Endpoint), TaskManagerID: orUnassigned(f.TaskManager), Labels: failureLabels(f.Kind),
	}
}

// jobExceptions lists the failures of a job, newest first; those that came with another are listed below it.
func (a *API) jobExceptions(r *http.Request) (any, error) {
	most, err := queryInt(r, "maxExceptions", exceptionsDefault)
	if err != nil {
		return nil, err
	}
	filter, err := labelFilter(r)
	if err != nil {
		return nil, err
	}
	v, err := a.view(r)
	if err != nil {
		return nil, err
	}
	var groups []exceptionEntry
	for _, f := range v.Failures {
		item := exceptionOf(f)
		if !matches(item.Labels, filter) {
			continue
		}
		if n := len(groups); n > 0 && f.Task != "" && f.At-groups[n-1].Timestamp <= concurrentMillis {
			groups[n-1].Concurrent = append(groups[n-1].Concurrent, item)
			continue
		}
		groups = append(groups, exceptionEntry{exceptionItem: item, Concurrent: []exceptionItem{}})
	}
	body := exceptionsAnswer{History: exceptionHistory{Entries: []exceptionEntry{}}}
	for i := len(groups) - 1; i >= 0; i-- {
		if int64(len(body.History.Entries)) >= most {
			body.History.Truncated = true
			break
		}
		body.History.Entries = append(body.History.Entries, groups[i])
	}
	return body, nil
}

// labelFilter reads failureLabelFilter=key:value,...: an entry has to have all of them.
func labelFilter(r *http.Request) (map[string]string, error) {
	filter := map[string]string{}
	for _, part := range queryList(r, "failureLabelFilter") {
		key, value, ok := strings.Cut(part, ":")
		if !ok {
			return nil, invalid("failureLabelFilter=%q: it has to be a label and a value, as type:USER", clip(part))
		}
		filter[key] = value
	}
	return filter, nil
}

func matches(labels, filter map[string]string) bool {
	for key, value := range filter {
		if labels[key] != value {
			return false
		}
	}
	return true
}
