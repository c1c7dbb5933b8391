// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/bench/program"
	"github.com/weir-stream/weir/stream"
)

// point is a job of a curve. It lives until the curve is measured.
type point struct {
	name string
	// fill and round are how many records the job is given before it counts, and in each round; both are multiples of the
	// number of its readers. results is how many rows a number of records brings about; nil where each brings one.
	fill, round int64
	results     func(records int64) int64
	readers     int64
	in          *feed
	out         *tally[int64]
	describe    func(env *stream.Env, in *feed, out *tally[int64])
	job         *weir.Handle
	sent        int64
	spent       []time.Duration // CPU time of the rounds
}

// start runs the job and gives it what comes before the first round.
func (p *point) start(ctx context.Context) error {
	p.out = newTally[int64]()
	var err error
	p.job, err = weir.Run(ctx, p.name, func(env *stream.Env) error {
		env.Checkpoint(stream.Checkpoints{Interval: never})
		p.describe(env, p.in, p.out)
		return nil
	}, weir.Options{})
	if err != nil {
		return err
	}
	return p.send(ctx, p.fill)
}

// never is an interval of checkpoints that is longer than any measurement.
const never = 24 * time.Hour

// send releases records and waits for their results.
func (p *point) send(ctx context.Context, n int64) error {
	p.sent += n
	wanted := p.sent
	if p.results != nil {
		wanted = p.results(p.sent)
	}
	if wanted == p.out.rows.Load() { // nothing comes of these alone
		return errors.New("a round without results")
	}
	p.out.wanted.Store(wanted)
	p.in.release(n / p.readers)
	select {
	case <-p.out.done:
		return nil
	case <-p.job.Done():
		return fmt.Errorf("the job ended: %w", p.job.Wait())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stop ends the job.
func (p *point) stop(ctx context.Context) error {
	if p.job == nil {
		return nil
	}
	return p.job.Cancel(context.WithoutCancel(ctx))
}

// median is the CPU time of a record, in nanoseconds.
func (p *point) median() float64 { return float64(middle(p.spent).Nanoseconds()) / float64(p.round) }

// middle is the median.
func middle(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// curve measures all points in turn.
func curve(ctx context.Context, o *options, points []*point) (err error) {
	defer func() {
		for _, p := range points {
			err = errors.Join(err, p.stop(ctx))
		}
	}()
	for _, p := range points {
		if err := p.start(ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if err := p.send(ctx, p.round); err != nil { // warms up
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	runtime.GC()
	for range o.rounds {
		for _, p := range points {
			began := program.CPUTime()
			if err := p.send(ctx, p.round); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			p.spent = append(p.spent, program.CPUTime()-began)
		}
	}
	return nil
}

// print writes a curve as a table.
func show(o *options, what, axis string, points []*point) {
	t := table{head: []string{axis, "CPU time a record", "Ratio"}}
	for _, p := range points {
		t.add(p.name, fmt.Sprintf("%.0f ns", p.median()), ratio(p.median(), points[0].median()))
	}
	t.print(o.out, what)
}

func ratio(a, b float64) string { return fmt.Sprintf("%.2f", a/b) }
