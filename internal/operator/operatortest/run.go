// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operatortest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/weir-stream/weir/element"
)

// mode is one way of running a case.
type mode struct {
	name string
	// batch is the number of records in a delivery; zero is a random one.
	batch int
	// rowsMax bounds the outputs of the step.
	rowsMax int
	shared  bool
	// turn picks the input that is next among those that have something; see turns.
	turn turn
	// each takes a snapshot after every delivery, and goes back to it every so many; slices takes them by and by.
	each, slices bool
	abort        bool
	// parallelism is that of the beginning and of each restart.
	parallelism []int
	seeds       int
}

// turn is the order among inputs.
type turn uint8

const (
	firstFirst turn = iota
	lastFirst
	byTurns
	anyOrder
)

const huge = 1 << 20

// modes are all the ways; orders of inputs are added by modesOf.
var modes = []mode{
	{name: "one by one", batch: 1, parallelism: []int{1}},
	{name: "all at once", batch: huge, parallelism: []int{1}},
	{name: "one-slot output", batch: huge, rowsMax: 1, parallelism: []int{1}},
	{name: "shared", batch: huge, shared: true, parallelism: []int{1}},
	{name: "shared one by one", batch: 1, shared: true, rowsMax: 1, parallelism: []int{1}},
	{name: "three subtasks", batch: huge, parallelism: []int{3}},
	{name: "restore after each", batch: 1, each: true, parallelism: []int{1}, seeds: 2},
	{name: "rescale after each", batch: 1, each: true, parallelism: []int{1, 2, 3}, seeds: 2},
	{name: "snapshot in slices", slices: true, parallelism: []int{1}, seeds: 6},
	{name: "aborts, crashes, rescaling", slices: true, abort: true, parallelism: []int{2, 3, 1}, seeds: 10},
	{name: "all of it", slices: true, abort: true, shared: true, rowsMax: 1, parallelism: []int{1, 3, 2}, seeds: 6},
}

// modesOf returns the modes that fit a case.
func modesOf(c Case) []mode {
	turns := map[turn]string{byTurns: ""}
	if len(c.Inputs) > 1 && !c.InTurns {
		turns = map[turn]string{
			firstFirst: ", first input first", lastFirst: ", last input first", byTurns: ", by turns", anyOrder: ", any order",
		}
	}
	var fit []mode
	for _, m := range modes {
		if c.OneSubtask {
			m.parallelism = m.parallelism[:1]
			if m.parallelism[0] > 1 {
				continue
			}
		}
		if c.InTurns && len(c.Inputs) > 1 {
			m.batch = 1
		}
		m.seeds = max(1, m.seeds)
		for order := firstFirst; order <= anyOrder; order++ {
			if name, ok := turns[order]; ok {
				ordered := m
				ordered.turn = order
				ordered.name += name
				fit = append(fit, ordered)
			}
		}
	}
	return fit
}

// Run runs a case in every mode.
func Run(t *testing.T, c Case) {
	t.Helper()
	if len(c.Inputs) != c.Step.Inputs {
		t.Fatalf("%d feeds for %d inputs", len(c.Inputs), c.Step.Inputs)
	}
	for _, m := range modesOf(c) {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(m.seeds) {
				if err := attempt(t.Context(), c, m, seed); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		})
	}
}

// attempt runs a case once, and returns what is wrong with it.
func attempt(ctx context.Context, c Case, m mode, seed uint64) error {
	r := newRig(c, m, seed)
	err := r.run(ctx)
	if err = errors.Join(err, r.stop()); err != nil {
		return err
	}
	for _, w := range c.Want {
		if d := w.compare(r.log.lines); d != "" {
			return errors.New(d)
		}
	}
	return nil
}

// run feeds all events, with the snapshots and crashes of the mode between them.
func (r *rig) run(ctx context.Context) error {
	if err := r.start(ctx, r.m.parallelism[0]); err != nil {
		return err
	}
	for {
		input, ok := r.pick()
		if !ok {
			break
		}
		limit := r.m.batch
		if limit == 0 {
			limit = 1 + r.random.IntN(4)
		}
		if err := r.deliver(input, limit); err != nil {
			return fmt.Errorf("input %d, before event %d: %w", input, r.at[input], err)
		}
		if err := r.between(ctx); err != nil {
			return fmt.Errorf("after event %d: %w", r.at, err)
		}
	}
	for r.running != nil {
		if err := r.slice(2); err != nil {
			return err
		}
	}
	return r.checkEnd()
}

// pick returns the input that is next.
func (r *rig) pick() (input int, ok bool) {
	var open []int
	for i, in := range r.c.Inputs {
		if r.at[i] < len(in.events()) {
			open = append(open, i)
		}
	}
	if len(open) == 0 {
		return 0, false
	}
	switch r.m.turn {
	case firstFirst:
		return open[0], true
	case lastFirst:
		return open[len(open)-1], true
	case byTurns:
		next := open[0]
		for _, i := range open {
			if r.at[i] < r.at[next] {
				next = i
			}
		}
		return next, true
	default:
		return open[r.random.IntN(len(open))], true
	}
}

// maxCrashes bounds the crashes of a run, so that it ends.
const maxCrashes = 5

// between does what the mode wants between two deliveries.
func (r *rig) between(ctx context.Context) error {
	switch {
	case r.m.each:
		if err := r.begin(); err != nil {
			return err
		}
		for r.running != nil {
			if err := r.slice(huge); err != nil {
				return err
			}
		}
		if r.random.IntN(3) == 0 { // let increments build on each other
			return nil
		}
		return r.crash(ctx, r.next())
	case !r.m.slices:
		return nil
	case r.running != nil:
		if err := r.slice(1); err != nil {
			return err
		}
	case r.random.IntN(2) == 0:
		if err := r.begin(); err != nil {
			return err
		}
	}
	if r.crashes < maxCrashes && r.random.IntN(6) == 0 {
		return r.crash(ctx, r.next())
	}
	return nil
}

// next is the parallelism after the coming restart.
func (r *rig) next() int { return r.m.parallelism[(r.crashes+1)%len(r.m.parallelism)] }

// checkEnd checks what the outputs said of their end.
func (r *rig) checkEnd() error {
	endOfTime, ended := true, true
	for _, in := range r.c.Inputs {
		var last, stopped bool
		for _, e := range in.events() {
			last = last || e.kind == watermark && e.at == element.MaxWatermark
			stopped = stopped || e.kind == end
		}
		endOfTime, ended = endOfTime && last, ended && stopped
	}
	return r.all(func(_ int, t *task) error {
		for _, c := range t.checks {
			if got := c.watermark == element.MaxWatermark; got != endOfTime {
				return fmt.Errorf("end of time came out: %v, in on all inputs: %v", got, endOfTime)
			}
			if c.ended != ended {
				return fmt.Errorf("end came out: %v, in on all inputs: %v", c.ended, ended)
			}
		}
		return nil
	})
}
