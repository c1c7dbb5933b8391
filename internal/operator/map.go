// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"

	"github.com/weir-stream/weir/element"
)

// Map turns each record into the one that f returns; where that has the type of its input, in place.
func Map[T, U any](f func(in *T) U) Step {
	if same, ok := any(f).(func(*T) T); ok {
		return rewrite(func(rows, out []T, _ *Info) error {
			out = out[:len(rows)]
			for i := range rows {
				out[i] = same(&rows[i])
			}
			return nil
		})
	}
	return transform(false, func(rows []T, out []U, _ *Info) error {
		out = out[:len(rows)]
		for i := range rows {
			out[i] = f(&rows[i])
		}
		return nil
	})
}

// MapE is Map for a function that can fail the task.
func MapE[T, U any](f func(in *T) (U, error)) Step {
	return transform(false, func(rows []T, out []U, info *Info) (err error) {
		out = out[:len(rows)]
		for i := range rows {
			if out[i], err = f(&rows[i]); err != nil {
				return info.failed(err)
			}
		}
		return nil
	})
}

// MapTo turns each record into the one that f writes into a zeroed row.
func MapTo[T, U any](f func(in *T, out *U)) Step {
	return transform(false, func(rows []T, out []U, _ *Info) error {
		out = out[:len(rows)]
		for i := range rows {
			o := &out[i]
			*o = *new(U)
			f(&rows[i], o)
		}
		return nil
	})
}

// MapToE is MapTo for a function that can fail the task.
func MapToE[T, U any](f func(in *T, out *U) error) Step {
	return transform(false, func(rows []T, out []U, info *Info) error {
		out = out[:len(rows)]
		for i := range rows {
			o := &out[i]
			*o = *new(U)
			if err := f(&rows[i], o); err != nil {
				return info.failed(err)
			}
		}
		return nil
	})
}

// MapBatch is MapToE a batch at a time.
func MapBatch[T, U any](f func(in []T, out []U) error) Step {
	return transform(true, func(rows []T, out []U, info *Info) error {
		if err := f(rows, out); err != nil {
			return info.failed(err)
		}
		return nil
	})
}

// transform makes a step that turns n rows into n others. The loop over the rows is in f, so that it is a typed one. f
// finds stale rows in out unless it wants them zeroed.
func transform[T, U any](zeroed bool, f func(rows []T, out []U, info *Info) error) Step {
	return stateless(func() Operator { return &transformer[T, U]{f: f, zeroed: zeroed} })
}

type transformer[T, U any] struct {
	base[U]
	f      func(rows []T, out []U, info *Info) error
	zeroed bool
	batch  *element.Batch[U]
	spare  []int64
}

var _ Operator = (*transformer[int, int])(nil)

// Port is the one input.
func (m *transformer[T, U]) Port(int) Port { return PortOf[T](m) }

// Open prepares the batch that is sent on.
func (m *transformer[T, U]) Open(ctx context.Context, rt *Runtime) error {
	m.batch = element.NewBatch[U](rowsFor[U](rt))
	return m.base.Open(ctx, rt)
}

// Process handles a batch.
func (m *transformer[T, U]) Process(b *element.Batch[T]) (err error) {
	defer guard(&m.rt.Info, &err)
	n := b.Len()
	m.received(n)
	out := blank(m.batch, n, &m.spare)
	if m.zeroed {
		clear(out)
	}
	if err := m.f(b.Rows(), out, &m.rt.Info); err != nil {
		return err
	}
	moveTimes(b, m.batch, &m.spare)
	if err := m.out.Process(m.batch); err != nil {
		return err
	}
	mangle(m.batch)
	return nil
}

// rewrite makes a step that turns n rows into n others of the same type: in place, where the batch has one owner. f gets
// the same rows twice then.
func rewrite[T any](f func(rows, out []T, info *Info) error) Step {
	return stateless(func() Operator { return &rewriter[T]{f: f} })
}

type rewriter[T any] struct {
	base[T]
	f     func(rows, out []T, info *Info) error
	batch *element.Batch[T]
	spare []int64
}

var _ Operator = (*rewriter[int])(nil)

// Port is the one input.
func (m *rewriter[T]) Port(int) Port { return PortOf[T](m) }

// Open prepares the batch for what must not be changed.
func (m *rewriter[T]) Open(ctx context.Context, rt *Runtime) error {
	m.batch = element.NewBatch[T](rowsFor[T](rt))
	return m.base.Open(ctx, rt)
}

// Process handles a batch.
func (m *rewriter[T]) Process(b *element.Batch[T]) (err error) {
	defer guard(&m.rt.Info, &err)
	m.received(b.Len())
	if !b.Shared() {
		if err := m.f(b.Rows(), b.Rows(), &m.rt.Info); err != nil {
			return err
		}
		b.SetHashes(nil)
		return m.out.Process(b)
	}
	out := blank(m.batch, b.Len(), &m.spare)
	if err := m.f(b.Rows(), out, &m.rt.Info); err != nil {
		return err
	}
	moveTimes(b, m.batch, &m.spare)
	if err := m.out.Process(m.batch); err != nil {
		return err
	}
	mangle(m.batch)
	return nil
}
