// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"time"

	"github.com/weir-stream/weir/element"
)

// Context is what a step lends user code for a call: the task, time, and side outputs. There is one for each subtask of a
// step, and stream wraps it in the contexts of its API: constructors take bind, which makes that wrapper once.
type Context struct {
	rt *Runtime
	// watermark is that of the step, at the event time of the record or timer at hand, or NoTime.
	watermark, at int64
	sides         sides
}

// Runtime is what the task lends the step; nil before Open.
func (c *Context) Runtime() *Runtime { return c.rt }

// Watermark is that of the step in Unix nanoseconds, MinWatermark before the first.
func (c *Context) Watermark() int64 { return c.watermark }

// Now is processing time.
func (c *Context) Now() time.Time { return c.rt.Now() }

// Time is the event time of the record or timer at hand in Unix nanoseconds, NoTime where it carries none.
func (c *Context) Time() int64 { return c.at }

// Output emits v to a side output, with the event time of the record or timer at hand. What nobody reads is dropped. A
// tag that is connected to a step of another record type fails the task.
func (c *Context) Output[V any](tag string, v V) {
	s, err := sideOf[V](&c.sides, tag, c.rt)
	if err != nil {
		if c.sides.err == nil {
			c.sides.err = err
		}
		return
	}
	if c.rt.Tap != nil {
		c.rt.Tap(tag, v)
	}
	if s.emit != nil {
		s.emit.At(c.at)
		s.emit.Emit(v)
	}
}

// fail keeps the first fault of a call that returns no error; it is reported when the call has ended.
func (c *Context) fail(err error) {
	if c.sides.err == nil {
		c.sides.err = c.rt.failed(err)
	}
}

// open begins a subtask.
func (c *Context) open(rt *Runtime) {
	c.rt, c.watermark, c.at = rt, element.MinWatermark, element.NoTime
}
