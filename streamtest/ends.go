// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package streamtest

import (
	"context"
	"errors"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/operator"
)

// feed is the operator at the head of a harness: what the test pushes leaves through it.
type feed[T any] struct {
	operator.Base
	to []operator.Input[T]
}

// Port does not exist: a feed has no inputs.
func (f *feed[T]) Port(int) operator.Port { return nil }

// Connect adds a receiver.
func (f *feed[T]) Connect(tag string, to operator.Port) error {
	if tag != "" {
		return errors.New("the input of a harness has no side outputs")
	}
	in, err := operator.InputOf[T](to)
	if err != nil {
		return err
	}
	f.to = append(f.to, in)
	return nil
}

// Open does nothing.
func (f *feed[T]) Open(context.Context, *operator.Runtime) error { return nil }

// send gives rows to all receivers, each its own copy.
func (f *feed[T]) send(at int64, rows []T) error {
	for _, in := range f.to {
		b := element.NewBatch[T](len(rows))
		for _, r := range rows {
			*b.AppendNanos(at) = r
		}
		if err := in.Process(b); err != nil {
			return err
		}
	}
	return nil
}

func (f *feed[T]) watermark(at int64) error {
	for _, in := range f.to {
		if err := in.Watermark(at); err != nil {
			return err
		}
	}
	return nil
}

func (f *feed[T]) end() error {
	for _, in := range f.to {
		if err := in.End(); err != nil {
			return err
		}
	}
	return nil
}

// feeder is a feed of some record type.
type feeder interface {
	operator.Operator
	watermark(at int64) error
	end() error
}

// drain is the sink of a harness: it keeps the rows of all its subtasks.
type drain[U any] struct{ rows []U }

// NewWriter returns what keeps the rows.
func (d *drain[U]) NewWriter(
	context.Context, connector.RuntimeContext, []connector.None,
) (connector.Writer[U, connector.None, connector.None], error) {
	return drainWriter[U]{d}, nil
}

// NewCommitter returns none.
func (d *drain[U]) NewCommitter(context.Context) (connector.Committer[connector.None], error) {
	return nil, nil //nolint:nilnil // the contract: nil where nothing is committed
}

func (d *drain[U]) take() []U {
	rows := d.rows
	d.rows = nil
	return rows
}

type drainWriter[U any] struct{ d *drain[U] }

func (w drainWriter[U]) Write(_ context.Context, b *element.Batch[U]) error {
	w.d.rows = append(w.d.rows, b.Rows()...)
	return nil
}

func (w drainWriter[U]) PrepareCommit(context.Context, int64) ([]connector.None, error) {
	return nil, nil
}

func (w drainWriter[U]) Snapshot(int64) (connector.None, error) { return connector.None{}, nil }
func (w drainWriter[U]) Close() error                           { return nil }
