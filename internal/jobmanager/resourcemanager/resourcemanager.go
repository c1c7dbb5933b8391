// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package resourcemanager matches slots of TaskManagers to needs of JobMasters. It is the shell around its core: an
// endpoint whose goroutine hands messages and time to the core, and sends what that decides.
package resourcemanager

import (
	"context"
	"fmt"
	"time"

	"github.com/weir-stream/weir/internal/jobmanager/resourcemanager/core"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Name is the endpoint of the ResourceManager.
const Name = "resourcemanager"

// ResourceManager is the running one of a cluster.
type ResourceManager struct {
	endpoint *rpc.Endpoint
	core     *core.SlotManager
	// known are the TaskManagers for those who look, waiting the requests to them that have no answer yet.
	known    map[string]known
	waiting  map[int64]chan *weirpb.WorkerReply
	requests int64
	// seeking holds a token when a JobMaster has said whom it seeks.
	seeking chan struct{}
}

var _ rpc.Handler = (*ResourceManager)(nil)

// Start makes a ResourceManager that serves when it returns.
func Start(c core.Config, network rpc.Network) (*ResourceManager, error) {
	r := &ResourceManager{
		endpoint: rpc.NewEndpoint(Name, network), core: core.NewSlotManager(c, time.Now()),
		known: map[string]known{}, waiting: map[int64]chan *weirpb.WorkerReply{},
		seeking: make(chan struct{}, 1),
	}
	if err := r.endpoint.Start(r); err != nil {
		return nil, fmt.Errorf("start ResourceManager: %w", err)
	}
	return r, nil
}

// Stop ends it and waits.
func (r *ResourceManager) Stop() { r.endpoint.Stop() }

// Workers says what to ask the cluster provider for.
func (r *ResourceManager) Workers(ctx context.Context) (core.Workers, error) {
	return r.endpoint.Call(ctx, func() core.Workers { return r.core.Workers(time.Now()) })
}

// Seeking has a token when there may be news of Sought. One goroutine takes them.
func (r *ResourceManager) Seeking() <-chan struct{} { return r.seeking }

// Sought are the TaskManagers that JobMasters seek, to go on with their tasks, and that are not registered.
func (r *ResourceManager) Sought(ctx context.Context) ([]string, error) {
	return r.endpoint.Call(ctx, r.core.Sought)
}

// Ended tells the JobMasters that TaskManagers have ended for good.
func (r *ResourceManager) Ended(names []string) {
	r.endpoint.Post(func() {
		r.core.Ended(names)
		r.perform()
	})
}

// Receive implements rpc.Handler.
func (r *ResourceManager) Receive(e *weirpb.Envelope) {
	now := time.Now()
	r.observe(e, now)
	r.core.Receive(e, now)
	r.perform()
	if len(e.GetDeclareNeeds().GetSought()) > 0 {
		select {
		case r.seeking <- struct{}{}:
		default: // there is a token
		}
	}
}

// Tick implements rpc.Handler.
func (r *ResourceManager) Tick(now time.Time) {
	r.core.Tick(now)
	r.forget()
	r.perform()
}

// Next implements rpc.Handler.
func (r *ResourceManager) Next() time.Time { return r.core.Next() }

func (r *ResourceManager) perform() {
	for _, s := range r.core.Take() {
		r.endpoint.Send(s.To, s.Message)
	}
}
