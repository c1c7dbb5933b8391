// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operatortest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/statebackend"
)

// Chain makes one step of several, each behind the one before, as a task chains them. Side outputs are those of the last.
// It panics where two have a state of the same name: the harness keeps the states of one operator.
func Chain(steps ...operator.Step) operator.Step {
	chained := operator.Step{Inputs: steps[0].Inputs}
	seen := map[string]bool{}
	for _, s := range steps {
		for _, state := range s.States {
			if seen[state.Name] {
				panic(fmt.Sprintf("two steps of a chain have state %q", state.Name))
			}
			seen[state.Name] = true
			chained.States = append(chained.States, state)
		}
	}
	chained.New = func() operator.Operator {
		c := &chain{wakes: make([]time.Time, len(steps)), woken: make([]atomic.Bool, len(steps))}
		for _, s := range steps {
			c.ops = append(c.ops, s.New())
		}
		return c
	}
	return chained
}

type chain struct {
	ops []operator.Operator
	rt  *operator.Runtime
	// wakes are the times that the operators asked for, zero where there is none; woken those that asked for now.
	wakes []time.Time
	woken []atomic.Bool
}

func (c *chain) Port(input int) operator.Port { return c.ops[0].Port(input) }

func (c *chain) Connect(tag string, to operator.Port) error {
	return c.ops[len(c.ops)-1].Connect(tag, to)
}

func (c *chain) Open(ctx context.Context, rt *operator.Runtime) error {
	c.rt = rt
	for i := len(c.ops) - 1; i >= 0; i-- {
		if i > 0 {
			if err := c.ops[i-1].Connect("", c.ops[i].Port(0)); err != nil {
				return err
			}
		}
		own := *rt
		own.Metrics = operator.NewMetrics()
		own.WakeAt = func(at time.Time) {
			c.wakes[i] = at
			c.ask()
		}
		own.Wake = func() {
			c.woken[i].Store(true)
			rt.Wake()
		}
		if err := c.ops[i].Open(ctx, &own); err != nil {
			return err
		}
	}
	return nil
}

// ask asks for the first of all times.
func (c *chain) ask() {
	var first time.Time
	for _, at := range c.wakes {
		if first.IsZero() || !at.IsZero() && at.Before(first) {
			first = at
		}
	}
	if !first.IsZero() {
		c.rt.WakeAt(first)
	}
}

func (c *chain) States() []statebackend.State {
	var all []statebackend.State
	for _, op := range c.ops {
		all = append(all, op.States()...)
	}
	return all
}

func (c *chain) Barrier(cp statebackend.Checkpoint) error {
	return c.each(func(op operator.Operator) error { return op.Barrier(cp) })
}

func (c *chain) Completed(id int64) error {
	return c.each(func(op operator.Operator) error { return op.Completed(id) })
}

func (c *chain) Aborted(id int64) error {
	return c.each(func(op operator.Operator) error { return op.Aborted(id) })
}

// Tick wakes the operators whose time has come.
func (c *chain) Tick(now time.Time) error {
	for i, op := range c.ops {
		due := !c.wakes[i].IsZero() && !c.wakes[i].After(now)
		if due {
			c.wakes[i] = time.Time{}
		}
		if !c.woken[i].Swap(false) && !due {
			continue
		}
		if err := op.Tick(now); err != nil {
			return err
		}
	}
	c.ask()
	return nil
}

func (c *chain) Close() error {
	var err error
	for _, op := range c.ops {
		err = errors.Join(err, op.Close())
	}
	return err
}

func (c *chain) each(f func(operator.Operator) error) error {
	for _, op := range c.ops {
		if err := f(op); err != nil {
			return err
		}
	}
	return nil
}
