// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"

	"github.com/weir-stream/weir/element"
)

// FlatMap turns each record into any number.
func FlatMap[T, U any](f func(in *T, out *element.Out[U])) Step {
	return stateless(func() Operator {
		return &processor[T, U]{f: func(b *element.Batch[T], p *processor[T, U]) error {
			rows, times, emit := b.Rows(), b.Times(), p.emit
			emit.At(element.NoTime)
			for i := range rows {
				if times != nil {
					emit.At(times[i])
				}
				f(&rows[i], emit)
			}
			return nil
		}}
	})
}

// FlatMapE is FlatMap for a function that can fail the task.
func FlatMapE[T, U any](f func(in *T, out *element.Out[U]) error) Step {
	return stateless(func() Operator {
		return &processor[T, U]{f: func(b *element.Batch[T], p *processor[T, U]) error {
			rows, times, emit := b.Rows(), b.Times(), p.emit
			emit.At(element.NoTime)
			for i := range rows {
				if times != nil {
					emit.At(times[i])
				}
				if err := f(&rows[i], emit); err != nil {
					return p.rt.failed(err)
				}
			}
			return nil
		}}
	})
}

// Funcs are the functions of a plain process step; one value is made for each subtask. Open and Close may be nil.
type Funcs[T, U, C any] struct {
	Open    func(ctx context.Context, rt *Runtime) error
	Process func(ctx *C, in *T, out *element.Out[U]) error
	Close   func() error
}

// Process is FlatMapE with a context. bind makes the context of the API around that of the step, once a subtask.
func Process[T, U, C any](bind func(*Context) *C, funcs func() Funcs[T, U, C]) Step {
	return stateless(func() Operator {
		p := &processor[T, U]{}
		fs := funcs()
		p.life = lifecycle{start: fs.Open, stop: fs.Close}
		c := bind(&p.ctx)
		p.f = func(b *element.Batch[T], p *processor[T, U]) error {
			return eachRow(b, &p.base, p.emit, c, fs.Process)
		}
		return p
	})
}

// eachRow calls f for the rows of a batch.
func eachRow[T, U, C any](
	b *element.Batch[T], s *base[U], emit *element.Out[U], c *C, f func(ctx *C, in *T, out *element.Out[U]) error,
) error {
	rows, times := b.Rows(), b.Times()
	at := int64(element.NoTime)
	for i := range rows {
		if times != nil {
			at = times[i]
		}
		s.ctx.at = at
		emit.At(at)
		if err := f(c, &rows[i], emit); err != nil {
			return s.rt.failed(err)
		}
	}
	return nil
}

// lifecycle is what the rich forms of user functions add. Both functions may be nil.
type lifecycle struct {
	start func(ctx context.Context, rt *Runtime) error
	stop  func() error
	// started is set once start was called, also if it failed.
	started bool
}

func (l *lifecycle) open(ctx context.Context, rt *Runtime) (err error) {
	l.started = true
	if l.start == nil {
		return nil
	}
	defer guard(&rt.Info, &err)
	if err := l.start(ctx, rt); err != nil {
		return rt.failed(err)
	}
	return nil
}

// close calls stop if start was called before.
func (l *lifecycle) close(rt *Runtime) (err error) {
	if l.stop == nil || !l.started {
		return nil
	}
	defer guard(&rt.Info, &err)
	if err := l.stop(); err != nil {
		return rt.failed(err)
	}
	return nil
}

type processor[T, U any] struct {
	base[U]
	f    func(b *element.Batch[T], p *processor[T, U]) error
	life lifecycle
	emit *element.Out[U]
}

var _ Operator = (*processor[int, int])(nil)

// Port is the one input.
func (p *processor[T, U]) Port(int) Port { return PortOf[T](p) }

// Open opens the user's value.
func (p *processor[T, U]) Open(ctx context.Context, rt *Runtime) error {
	if err := p.base.Open(ctx, rt); err != nil {
		return err
	}
	p.emit = p.emitter()
	return p.life.open(ctx, rt)
}

// Close closes the user's value.
func (p *processor[T, U]) Close() error { return p.life.close(p.rt) }

// Process handles a batch.
func (p *processor[T, U]) Process(b *element.Batch[T]) (err error) {
	defer guard(&p.rt.Info, &err)
	p.received(b.Len())
	if err := p.f(b, p); err != nil {
		return err
	}
	return p.flush(p.emit)
}
