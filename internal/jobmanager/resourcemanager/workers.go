// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package resourcemanager

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Known is a TaskManager that is registered.
type Known struct {
	Report *weirpb.TaskManagerReport
	Heard  time.Time
}

// Errors of requests to TaskManagers.
var (
	// ErrUnknown: there is no such TaskManager.
	ErrUnknown = errors.New("resourcemanager: no TaskManager of that id is registered")
	// ErrNotFound: what it was asked for is not there.
	ErrNotFound = errors.New("resourcemanager: the TaskManager does not have that")
	// ErrNoAnswer: it did not answer in time, or its connection is gone.
	ErrNoAnswer = errors.New("resourcemanager: the TaskManager does not answer")
)

// requestsMax bounds the requests that wait for an answer.
const requestsMax = 4096

// known is what the ResourceManager remembers of a TaskManager for those who look, beside what its core needs.
type known struct {
	Known
	endpoint string
}

// TaskManagers lists those that are registered, by id.
func (r *ResourceManager) TaskManagers(ctx context.Context) ([]Known, error) {
	return r.endpoint.Call(ctx, func() (all []Known) {
		for _, id := range slices.Sorted(maps.Keys(r.known)) {
			if r.core.Knows(id) {
				all = append(all, r.known[id].Known)
			}
		}
		return all
	})
}

// Ask has a TaskManager serve a request, and waits for its answer; number need not be set.
func (r *ResourceManager) Ask(ctx context.Context, id string, q *weirpb.WorkerRequest) (*weirpb.WorkerReply, error) {
	answer := make(chan *weirpb.WorkerReply, 1)
	var number int64 // for the endpoint's goroutine
	defer r.endpoint.Post(func() { delete(r.waiting, number) })
	refused, err := r.endpoint.Call(ctx, func() error {
		k, ok := r.known[id]
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !ok || !r.core.Knows(id):
			return fmt.Errorf("%w: %s", ErrUnknown, id)
		case len(r.waiting) >= requestsMax:
			return fmt.Errorf("%w: too many requests wait for answers", ErrNoAnswer)
		}
		r.requests++
		number, q.Number = r.requests, r.requests
		r.waiting[number] = answer
		r.endpoint.Send(k.endpoint, &weirpb.Envelope{Body: &weirpb.Envelope_WorkerRequest{WorkerRequest: q}})
		return nil
	})
	if err = errors.Join(err, refused); err != nil {
		return nil, err
	}
	select {
	case a := <-answer:
		switch {
		case a.GetNotFound():
			return nil, fmt.Errorf("%w: %s", ErrNotFound, a.GetError())
		case a.GetError() != "":
			return nil, errors.New(a.GetError())
		}
		return a, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %s: %w", ErrNoAnswer, id, context.Cause(ctx))
	}
}

// observe notes what concerns those who look.
func (r *ResourceManager) observe(e *weirpb.Envelope, now time.Time) {
	switch b := e.GetBody().(type) {
	case *weirpb.Envelope_TaskManagerReport:
		r.known[b.TaskManagerReport.GetId()] = known{Known{b.TaskManagerReport, now}, e.GetFrom()}
	case *weirpb.Envelope_WorkerReply:
		if answer := r.waiting[b.WorkerReply.GetNumber()]; answer != nil {
			delete(r.waiting, b.WorkerReply.GetNumber())
			answer <- b.WorkerReply
		}
	}
}

// forget drops what is remembered of TaskManagers that the core has forgotten.
func (r *ResourceManager) forget() {
	maps.DeleteFunc(r.known, func(id string, _ known) bool { return !r.core.Knows(id) })
}
