// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/internal/codec"
)

// Enumerator is connector.Enumerator with splits and state encoded: the JobMaster knows no types. One goroutine calls it.
type Enumerator interface {
	Assigned(reader int, splits []byte) error
	Start(ctx context.Context) error
	ReaderReady(reader int) error
	AddBack(splits []byte, reader int) error
	Snapshot(checkpoint int64) ([]byte, error)
	Close() error
}

// EnumeratorRuntime is how an enumerator reaches its readers; it may be used from any goroutine, and does not block. An
// enumerator that assigns splits from a goroutine of its own does so under the lock that its Snapshot takes: a snapshot says
// of each split either that it is left or that it was assigned.
type EnumeratorRuntime interface {
	// Readers is the number of subtasks that read.
	Readers() int
	// Assign sends encoded splits to a reader; AddSplits of its operator decodes them.
	Assign(reader int, splits []byte)
	NoMoreSplits(reader int)
	Fail(err error)
	Logger() *slog.Logger
}

func newEnumerator[T any, S connector.Split, E any](
	src connector.Source[T, S, E], splits *codec.Codec[S], state *codec.Codec[E],
) func(context.Context, EnumeratorRuntime, []byte) (Enumerator, error) {
	return func(ctx context.Context, rt EnumeratorRuntime, restored []byte) (_ Enumerator, err error) {
		defer guard(&Info{Name: enumeratorName}, &err)
		var from *E
		if restored != nil {
			rows, err := decodeRows(state, restored)
			if err == nil && len(rows) != 1 {
				err = fmt.Errorf("%d of them: %w", len(rows), codec.ErrCorrupt)
			}
			if err != nil {
				return nil, fmt.Errorf("restore the enumerator's state: %w", err)
			}
			from = &rows[0]
		}
		e, err := src.NewEnumerator(ctx, enumeratorContext[S]{rt, splits}, from)
		if err != nil {
			return nil, called("open an enumerator", err)
		}
		return &enumerator[S, E]{e, splits, state}, nil
	}
}

// enumeratorName names the code in which a panic is caught; the JobMaster, which knows the source, says which one.
const enumeratorName = "enumerator"

type enumerator[S connector.Split, E any] struct {
	of     connector.Enumerator[S, E]
	splits *codec.Codec[S]
	state  *codec.Codec[E]
}

func _[S connector.Split, E any]() { var _ Enumerator = (*enumerator[S, E])(nil) }

// Assigned tells of splits that a living reader holds or finished beyond the restored state.
func (e *enumerator[S, E]) Assigned(reader int, data []byte) (err error) {
	defer guard(&Info{Name: enumeratorName}, &err)
	splits, err := decodeRows(e.splits, data)
	if err != nil {
		return fmt.Errorf("decode splits of reader %d: %w", reader, err)
	}
	return called("tell of assigned splits", e.of.Assigned(reader, splits))
}

// Start begins discovery.
func (e *enumerator[S, E]) Start(ctx context.Context) (err error) {
	defer guard(&Info{Name: enumeratorName}, &err)
	return called("start", e.of.Start(ctx))
}

// ReaderReady tells that a reader asks for work.
func (e *enumerator[S, E]) ReaderReady(reader int) (err error) {
	defer guard(&Info{Name: enumeratorName}, &err)
	return called("ask for splits", e.of.ReaderReady(reader))
}

// AddBack returns splits of a failed reader.
func (e *enumerator[S, E]) AddBack(data []byte, reader int) (err error) {
	defer guard(&Info{Name: enumeratorName}, &err)
	splits, err := decodeRows(e.splits, data)
	if err != nil {
		return fmt.Errorf("decode splits of reader %d: %w", reader, err)
	}
	return called("give splits back", e.of.AddBack(splits, reader))
}

// Snapshot encodes the state.
func (e *enumerator[S, E]) Snapshot(checkpoint int64) (data []byte, err error) {
	defer guard(&Info{Name: enumeratorName}, &err)
	state, err := e.of.Snapshot(checkpoint)
	if err != nil {
		return nil, called("snapshot", err)
	}
	return encodeRows(e.state, []E{state}), nil
}

// Close ends the enumerator.
func (e *enumerator[S, E]) Close() (err error) {
	defer guard(&Info{Name: enumeratorName}, &err)
	return called("close", e.of.Close())
}

// enumeratorContext is the typed face of an EnumeratorRuntime.
type enumeratorContext[S connector.Split] struct {
	rt     EnumeratorRuntime
	splits *codec.Codec[S]
}

// Readers lists the subtasks that read.
func (c enumeratorContext[S]) Readers() []int {
	readers := make([]int, c.rt.Readers())
	for i := range readers {
		readers[i] = i
	}
	return readers
}

// Assign sends splits to a reader. Encoding one may run code of the connector's, on a goroutine of the connector's: that
// must not end the process.
func (c enumeratorContext[S]) Assign(reader int, splits ...S) {
	if len(splits) == 0 {
		return
	}
	data, err := c.encode(splits)
	if err != nil {
		c.rt.Fail(err)
		return
	}
	c.rt.Assign(reader, data)
}

func (c enumeratorContext[S]) encode(splits []S) (data []byte, err error) {
	defer guard(&Info{Name: enumeratorName}, &err)
	return encodeRows(c.splits, splits), nil
}

// NoMoreSplits ends the splits of a reader.
func (c enumeratorContext[S]) NoMoreSplits(reader int) { c.rt.NoMoreSplits(reader) }

// Fail fails the job by its restart strategy.
func (c enumeratorContext[S]) Fail(err error) { c.rt.Fail(called("discover splits", err)) }

// Logger is that of the source.
func (c enumeratorContext[S]) Logger() *slog.Logger { return c.rt.Logger() }
