// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/weir-stream/weir/internal/jobmanager/resourcemanager"
	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// workers is what the REST API sees of the ResourceManager.
type workers struct {
	r *resourcemanager.ResourceManager
}

var _ rest.Workers = workers{}

// List implements rest.Workers.
func (w workers) List(ctx context.Context) ([]rest.Worker, error) {
	all, err := w.r.TaskManagers(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	list := make([]rest.Worker, len(all))
	for i, k := range all {
		list[i] = rest.Worker{Report: k.Report, LastHeartbeat: k.Heard}
	}
	return list, nil
}

// Logs implements rest.Workers.
func (w workers) Logs(ctx context.Context, id string) ([]*weirpb.LogFile, error) {
	a, err := w.r.Ask(ctx, id, &weirpb.WorkerRequest{Body: &weirpb.WorkerRequest_ListLogs{ListLogs: &weirpb.ListLogs{}}})
	return a.GetLogs(), unavailable(err)
}

// ReadLog implements rest.Workers.
func (w workers) ReadLog(ctx context.Context, id string, r *weirpb.ReadLog) (rest.LogPart, error) {
	a, err := w.r.Ask(ctx, id, &weirpb.WorkerRequest{Body: &weirpb.WorkerRequest_ReadLog{ReadLog: r}})
	return rest.LogPart{Data: a.GetData(), Offset: a.GetOffset(), Size: a.GetSize()}, unavailable(err)
}

// ThreadDump implements rest.Workers.
func (w workers) ThreadDump(ctx context.Context, id string) ([]byte, error) {
	a, err := w.r.Ask(ctx, id, &weirpb.WorkerRequest{Body: &weirpb.WorkerRequest_ThreadDump{ThreadDump: &weirpb.ThreadDump{}}})
	return a.GetData(), unavailable(err)
}

// Drain implements rest.Workers.
func (w workers) Drain(ctx context.Context, id string) error {
	_, err := w.r.Ask(ctx, id, &weirpb.WorkerRequest{Body: &weirpb.WorkerRequest_Drain{Drain: &weirpb.Drain{}}})
	return unavailable(err)
}

// unavailable gives errors of the ResourceManager the kinds that the REST API knows.
func unavailable(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, resourcemanager.ErrUnknown), errors.Is(err, resourcemanager.ErrNotFound):
		return fmt.Errorf("%w: %w", rest.ErrNotFound, err)
	case errors.Is(err, resourcemanager.ErrNoAnswer):
		return fmt.Errorf("%w: %w", rest.ErrUnavailable, err)
	default:
		return err
	}
}

// self is what the REST API sees of the JobManager.
type self struct{ j *JobManager }

var _ rest.Self = self{}

// Info implements rest.Self.
func (s self) Info() rest.Info {
	c := &s.j.config
	return rest.Info{
		Version: c.Version, Commit: c.Commit, Started: s.j.started, ClusterID: c.ClusterID, LeaderEpoch: s.j.term.Epoch(),
	}
}

// Config implements rest.Self.
func (s self) Config() []rest.Setting { return s.j.config.Settings }

// Logs implements rest.Self.
func (s self) Logs(context.Context) ([]*weirpb.LogFile, error) { return s.j.logs.List() }

// ReadLog implements rest.Self.
func (s self) ReadLog(_ context.Context, r *weirpb.ReadLog) (rest.LogPart, error) {
	data, offset, size, err := s.j.logs.Read(r)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", rest.ErrNotFound, err)
	}
	return rest.LogPart{Data: data, Offset: offset, Size: size}, err
}

// Shutdown implements rest.Self.
func (s self) Shutdown(context.Context) error {
	s.j.end(Reason{Shutdown: true})
	return nil
}
