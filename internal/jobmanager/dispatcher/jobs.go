// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Summaries implements rest.Jobs.
func (d *Dispatcher) Summaries(context.Context) ([]*weirpb.JobSummary, error) {
	all := d.all()
	out := make([]*weirpb.JobSummary, 0, len(all))
	for _, j := range all {
		out = append(out, j.current())
	}
	return out, nil
}

// Summary implements rest.Jobs.
func (d *Dispatcher) Summary(_ context.Context, id string) (*weirpb.JobSummary, error) {
	j, err := d.job(id)
	if err != nil {
		return nil, err
	}
	return j.current(), nil
}

// Detail implements rest.Jobs.
func (d *Dispatcher) Detail(ctx context.Context, id string) (*weirpb.JobDetail, error) {
	j, err := d.job(id)
	if err != nil {
		return nil, err
	}
	if !j.isEnded() {
		return j.showDetail(ctx)
	}
	detail, err := d.store.detail(ctx, id)
	if errors.Is(err, fs.ErrNotExist) {
		return j.plainDetail(), nil
	}
	return detail, err
}

// Cancel implements rest.Jobs.
func (d *Dispatcher) Cancel(ctx context.Context, id string) error {
	j, err := d.job(id)
	if err != nil {
		return err
	}
	if err := j.cancel(); err != nil {
		return fmt.Errorf("%w: %w", rest.ErrConflict, err)
	}
	return j.recordCancel(ctx)
}

// ClientHeartbeat implements rest.Jobs.
func (d *Dispatcher) ClientHeartbeat(_ context.Context, id string, until time.Time) error {
	j, err := d.job(id)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.clientUntil = until
	return nil
}

// Applications implements rest.Jobs.
func (d *Dispatcher) Applications(context.Context) ([]rest.Application, error) {
	var out []rest.Application
	for _, j := range d.all() {
		if j.record.Application == "" {
			out = append(out, rest.ApplicationOf(j.current()))
		}
	}
	for _, a := range d.applications() {
		out = append(out, d.application(a))
	}
	return out, nil
}

// CancelApplication implements rest.Jobs.
func (d *Dispatcher) CancelApplication(ctx context.Context, id string) error {
	if j, err := d.job(id); err == nil && j.record.Application == "" {
		return d.Cancel(ctx, id)
	}
	a := d.storedApplication(id)
	if a == nil {
		return fmt.Errorf("application %s: %w", id, rest.ErrNotFound)
	}
	d.mu.Lock()
	stop := d.mu.describing[id]
	d.mu.Unlock()
	if stop != nil {
		stop(errCanceled)
		return nil
	}
	canceled := false
	var unrecorded error
	for _, id := range a.Jobs {
		if j, err := d.job(id); err == nil && j.cancel() == nil {
			canceled = true
			unrecorded = errors.Join(unrecorded, j.recordCancel(ctx))
		}
	}
	if !canceled {
		return fmt.Errorf("application %s: %w: it has ended", id, rest.ErrConflict)
	}
	return unrecorded
}
