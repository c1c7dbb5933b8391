// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/window"
)

// base is what every context gives. A context is valid during the call.
type base struct{ c *operator.Context }

// Watermark returns the watermark of the step; the zero time before the first.
func (b *base) Watermark() time.Time { return timeOf(b.c.Watermark()) }

// Now returns processing time; code that asks the clock itself can't be tested.
func (b *base) Now() time.Time { return b.c.Now() }

// Output emits v to a side output.
func (b *base) Output[U any](tag Tag[U], v U) { b.c.Output(tag.name, v) }

// Runtime returns what the function may know of its subtask.
func (b *base) Runtime() *RuntimeContext { return &RuntimeContext{b.c.Runtime()} }

// PlainCtx is the context of a record that has no key.
type PlainCtx struct{ base }

func plainCtx(c *operator.Context) *PlainCtx { return &PlainCtx{base{c}} }

// Time returns the event time of the record; ok is false where it carries none.
func (c *PlainCtx) Time() (at time.Time, ok bool) {
	t := c.c.Time()
	return timeOf(t), t != noTime
}

// Ctx is the context of a record or timer of key K.
type Ctx[K comparable] struct {
	PlainCtx
	k *operator.KeyedContext[K]
}

func keyedCtx[K comparable](k *operator.KeyedContext[K]) *Ctx[K] {
	return &Ctx[K]{PlainCtx{base{k.Context}}, k}
}

// Key returns the current key.
func (c *Ctx[K]) Key() K { return c.k.Key() }

// New reports that the row of the key did not exist before this call.
func (c *Ctx[K]) New() bool { return c.k.New() }

// Delete drops the row of the key when the call ends. Its timers stay.
func (c *Ctx[K]) Delete() { c.k.Delete() }

// EventTimer calls OnTimer once the watermark reaches at. Registered twice it is one. A step without OnTimer fails.
func (c *Ctx[K]) EventTimer(at time.Time) { c.k.EventTimer(at) }

// ProcessingTimer calls OnTimer once the clock reaches at.
func (c *Ctx[K]) ProcessingTimer(at time.Time) { c.k.ProcessingTimer(at) }

// DeleteEventTimer takes back EventTimer.
func (c *Ctx[K]) DeleteEventTimer(at time.Time) { c.k.DeleteEventTimer(at) }

// DeleteProcessingTimer takes back ProcessingTimer.
func (c *Ctx[K]) DeleteProcessingTimer(at time.Time) { c.k.DeleteProcessingTimer(at) }

// Timer is a timer that fired: its time At, and whether it was one of Processing time.
type Timer = operator.Timer

// WindowCtx is the context of a window that fires; it knows key and window.
type WindowCtx[K comparable] struct {
	base
	w *operator.WindowContext[K]
}

func windowCtx[K comparable](w *operator.WindowContext[K]) *WindowCtx[K] {
	return &WindowCtx[K]{base{w.Context}, w}
}

// Key returns the key of the window.
func (c *WindowCtx[K]) Key() K { return c.w.Key() }

// Window returns the window.
func (c *WindowCtx[K]) Window() window.Window {
	return window.Window{Start: timeOf(c.w.Start()), End: timeOf(c.w.End())}
}

// RuntimeContext is what a function may know of its subtask.
type RuntimeContext struct{ rt *operator.Runtime }

// UID is that of the step.
func (r *RuntimeContext) UID() UID { return UID(r.rt.UID) }

// Subtask is the index of this one, in [0, Parallelism).
func (r *RuntimeContext) Subtask() int { return r.rt.Subtask }

// Parallelism is the number of subtasks of the step.
func (r *RuntimeContext) Parallelism() int { return r.rt.Parallelism }

// Attempt is unique among all attempts of the subtask, and grows.
func (r *RuntimeContext) Attempt() int64 { return r.rt.Attempt }

// Logger writes with the job, step and subtask as attributes.
func (r *RuntimeContext) Logger() *slog.Logger { return r.rt.Logger }

// Counter returns the counter of that name, which shows in the metrics of the step.
func (r *RuntimeContext) Counter(name string) *Counter { return &Counter{r.rt.Metrics.Counter(name)} }

// Gauge sets what reads the gauge of that name; read is called from other goroutines.
func (r *RuntimeContext) Gauge(name string, read func() float64) { r.rt.Metrics.Gauge(name, read) }

// Counter is a metric that grows.
type Counter struct{ n *atomic.Int64 }

// Add adds n.
func (c *Counter) Add(n int64) { c.n.Add(n) }

// rich is what all rich forms share. Close is called also after a failed Open.
type rich interface {
	Open(ctx context.Context, rt *RuntimeContext) error
	Close() error
}

// openRich gives Open the context of the public API.
func openRich(r rich) func(context.Context, *operator.Runtime) error {
	return func(ctx context.Context, rt *operator.Runtime) error { return r.Open(ctx, &RuntimeContext{rt}) }
}

// PlainProcessor is the rich form without keys and state: factory makes one for each subtask and attempt, and its calls
// are never concurrent.
type PlainProcessor[T, U any] interface {
	rich
	Process(ctx *PlainCtx, in *T, out *Out[U]) error
}

// Processor is the rich form of a keyed process function: factory makes one for each subtask and attempt, and its
// calls are never concurrent. Fields are for clients and caches; what must survive is in S.
type Processor[K comparable, S, T, U any] interface {
	rich
	Process(st *S, ctx *Ctx[K], in *T, out *Out[U]) error
	OnTimer(st *S, ctx *Ctx[K], t Timer, out *Out[U]) error
}

// CoProcessor is the rich form over two connected keyed streams.
type CoProcessor[K comparable, S, A, B, U any] interface {
	rich
	Process1(st *S, ctx *Ctx[K], in *A, out *Out[U]) error
	Process2(st *S, ctx *Ctx[K], in *B, out *Out[U]) error
	OnTimer(st *S, ctx *Ctx[K], t Timer, out *Out[U]) error
}

// Lifecycle is embedded in a rich function for an Open and a Close that do nothing.
type Lifecycle struct{}

// Open does nothing.
func (Lifecycle) Open(context.Context, *RuntimeContext) error { return nil }

// Close does nothing.
func (Lifecycle) Close() error { return nil }

// NoTimers is embedded in a Processor or CoProcessor without timers; one that fires fails the task.
type NoTimers[K comparable, S, U any] struct{}

// OnTimer fails.
func (NoTimers[K, S, U]) OnTimer(*S, *Ctx[K], Timer, *Out[U]) error {
	return errors.New("timer fired, but the processor has no OnTimer")
}
