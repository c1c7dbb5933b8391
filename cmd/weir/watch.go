// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/console"
	"github.com/weir-stream/weir/internal/restclient"
)

const (
	// watchInterval is the time between two looks at a job, patience how long the JobManager may be away meanwhile.
	watchInterval = 250 * time.Millisecond
	patience      = 5 * time.Minute
)

// watch shows how a job is doing until it has ended. A JobManager that is away for a while is waited for.
func (a *app) watch(ctx context.Context, k *restclient.Client, id string) (*restclient.Progress, error) {
	terminal := console.NewTerminal(os.Stderr)
	defer terminal.Clear()
	line := &console.Progress{Start: time.Now(), StuckAfter: console.StuckAfter}
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	var away, shown time.Time
	last := &restclient.Progress{ID: id}
	for {
		p, err := k.Progress(ctx, id)
		now := time.Now()
		switch {
		case err == nil && p.Ended():
			return p, nil
		case err == nil:
			if !a.json() && p.Restarts > last.Restarts && p.Failure != "" {
				first, _, _ := strings.Cut(p.Failure, "\n")
				terminal.Println("failure: " + first)
			}
			away, last = time.Time{}, p
			if !a.json() && now.Sub(shown) >= terminal.Interval {
				shown = now
				terminal.Progress(strings.TrimLeft(waiting(p)+"  "+line.Line(sampleOf(p)), " "))
			}
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !passing(err):
			return nil, err
		case a.result() != "": // a cluster of its own, which has ended with the job
			last.State, last.EndTime = a.result(), now.UnixMilli()
			return last, nil
		case away.IsZero():
			away = now
			terminal.Println("the JobManager is away; waiting for it")
		case now.Sub(away) > patience:
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// passing tells whether an error may be gone in a moment.
func passing(err error) bool {
	if status, ok := errors.AsType[*restclient.StatusError](err); ok {
		return status.Code == 503
	}
	return errors.Is(err, restclient.ErrUnreachable)
}

// waiting tells what a job that does not run is waiting for.
func waiting(p *restclient.Progress) string {
	if p.SlotsMissing == 0 {
		return ""
	}
	return fmt.Sprintf("waits for %s of %d", count(p.SlotsMissing, "slot"), p.SlotsNeeded)
}

// sampleOf is the progress of a job in the form that the line and the summary are made of.
func sampleOf(p *restclient.Progress) *console.Sample {
	watermark := int64(element.MinWatermark)
	if p.Watermark != nil {
		watermark = time.UnixMilli(*p.Watermark).UnixNano()
	}
	s := &console.Sample{
		At: time.UnixMilli(p.Now), Status: p.State, Failures: int(p.Restarts), Failure: p.Failure,
		Steps: []console.Step{
			{Name: "sources", Source: true, Out: p.RecordsIn, Watermark: watermark, Holder: p.Holder},
			{Name: "sinks", Sink: true, In: p.RecordsOut},
		},
	}
	if p.LastCheckpoint != 0 {
		s.Checkpoint = console.Checkpoint{
			ID: p.LastCheckpoint, Completed: time.UnixMilli(p.LastCheckpointTime),
			Duration: time.Duration(p.LastCheckpointDuration) * time.Millisecond, Bytes: p.LastCheckpointBytes,
		}
	}
	return s
}

// summary says how a job ended.
func summary(p *restclient.Progress) string {
	var b strings.Builder
	took := time.Duration(p.EndTime-p.StartTime) * time.Millisecond
	fmt.Fprintf(&b, "%s in %v: %d records in, %d out", p.State, took, p.RecordsIn, p.RecordsOut)
	if p.Restarts > 0 {
		fmt.Fprintf(&b, ", %s", count(int(p.Restarts), "restart"))
	}
	if p.LastCheckpoint != 0 {
		fmt.Fprintf(&b, ", last checkpoint %d", p.LastCheckpoint)
	}
	b.WriteByte('\n')
	return b.String()
}

// copyLog writes a log file from an offset on and returns where it ended.
func copyLog(ctx context.Context, k *restclient.Client, id string, f restclient.LogFile, offset int64, to io.Writer) (int64, error) {
	for {
		body, err := k.JobLog(ctx, id, f, offset)
		if err != nil {
			return offset, err
		}
		n, err := io.Copy(to, body)
		_ = body.Close() // it was read to its end
		offset += n
		if err != nil || n == 0 {
			return offset, err
		}
	}
}
