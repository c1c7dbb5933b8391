// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
)

// Bounds of what is told apart: from a microsecond to a minute, to a hundredth.
const (
	least  = int64(time.Microsecond)
	most   = int64(time.Minute)
	digits = 2
)

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(least, most, digits) }

// record adds a sample; one out of bounds counts as the bound.
func record(h *hdrhistogram.Histogram, d time.Duration) error {
	return h.RecordValue(min(max(int64(d), least), most))
}

// Result is of a key in a window that ended at End.
type Result struct {
	Key, Count int64
	End        time.Time
}

// histograms is the sink: each writer has one of its own, and all are merged at their ends.
type histograms struct {
	// Windows count that end later than warm after the start, and before all events were due: what fires because the input
	// has ended did not wait for its time.
	warm, duration time.Duration
	start          *start
	all            *merged
}

type merged struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

func (s histograms) NewWriter(
	_ context.Context, rt connector.RuntimeContext, _ []connector.None,
) (connector.Writer[Result, connector.None, connector.None], error) {
	return &writer{histograms: s, rt: rt, h: newHistogram()}, nil
}

func (s histograms) NewCommitter(context.Context) (connector.Committer[connector.None], error) {
	return nil, nil //nolint:nilnil // the contract: nil where nothing is committed
}

var _ connector.Sink[Result, connector.None, connector.None] = histograms{}

type writer struct {
	histograms
	rt connector.RuntimeContext
	h  *hdrhistogram.Histogram
}

func (w *writer) Write(_ context.Context, b *element.Batch[Result]) error {
	now := w.rt.Now()
	began, rows := w.start.begin(now), b.Rows()
	from, to := began.Add(w.warm), began.Add(w.duration)
	for i := range rows {
		if end := rows[i].End; end.After(from) && end.Before(to) {
			if err := record(w.h, now.Sub(end)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) PrepareCommit(context.Context, int64) ([]connector.None, error) { return nil, nil }
func (w *writer) Snapshot(int64) (connector.None, error)                         { return connector.None{}, nil }

func (w *writer) Close() error {
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	w.all.h.Merge(w.h)
	return nil
}
