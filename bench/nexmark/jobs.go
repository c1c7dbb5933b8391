// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weir-stream/weir"
)

// embedded runs jobs in this process.
type embedded struct {
	g *Generator
	settings
}

// run runs the job of a query to its end.
func (e embedded) run(ctx context.Context, q query, w way) (spent, error) {
	var rows counter
	var err error
	figures := spend(func() int64 {
		var h *weir.Handle
		if h, err = weir.Run(ctx, q.name, q.job(e.g, e.settings, &rows), w.options()); err == nil {
			err = h.Wait()
		}
		return rows.n.Load()
	})
	return figures, err
}

// held is what a job remembers behind the last event: the size of its state, and the time that a checkpoint of all of it
// takes.
type held struct {
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"checkpoint_seconds"`
}

// lookEvery is the time between two looks at how many events were read. They are told once a second.
const lookEvery = 50 * time.Millisecond

// checkpoint takes one of a job that has read all events. They have passed all steps by then, so that nothing is in its way.
func (e embedded) checkpoint(ctx context.Context, q query) (state held, err error) {
	e.lingers = true
	var rows counter
	h, err := weir.Run(ctx, q.name, q.job(e.g, e.settings, &rows), weir.Options{})
	if err != nil {
		return held{}, err
	}
	defer func() { err = errors.Join(err, h.Cancel(ctx)) }()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for h.Metrics()[eventsUID].RecordsOut < e.g.Events { //nolint:contextcheck // it does not wait
		select {
		case <-look.C:
		case <-h.Done():
			return held{}, fmt.Errorf("the job has ended early: %w", h.Wait())
		case <-ctx.Done():
			return held{}, context.Cause(ctx)
		}
	}
	c, err := h.Checkpoint(ctx, true)
	return held{Bytes: c.Bytes, Seconds: c.Duration.Seconds()}, err
}
