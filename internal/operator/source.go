// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/watermark"
)

// splitsState is the name of the state of a source.
const splitsState = "splits"

// SourceStep is a Step that reads, and its part on the JobMaster.
type SourceStep struct {
	Step
	Bounded bool
	// NewEnumerator restores from an encoded state, or starts afresh where restored is nil.
	NewEnumerator func(ctx context.Context, rt EnumeratorRuntime, restored []byte) (Enumerator, error)
}

// Source reads a connector's source. With a strategy it sets event times and makes watermarks, a generator a split;
// without one the only watermark is the end of time. It fails if splits or the enumerator's state can't be stored.
func Source[T any, S connector.Split, E any](
	src connector.Source[T, S, E], w *watermark.Strategy[T],
) (SourceStep, error) {
	splits, err := codec.For[S]()
	if err != nil {
		return SourceStep{}, fmt.Errorf("splits of the source: %w", err)
	}
	state, err := codec.For[E]()
	if err != nil {
		return SourceStep{}, fmt.Errorf("state of the source's enumerator: %w", err)
	}
	if w != nil {
		if err := w.Validate(); err != nil {
			return SourceStep{}, err
		}
	}
	return SourceStep{
		Step: Step{
			New: func() Operator {
				return &source[T, S, E]{src: src, strategy: w, codec: splits, ledger: ledger{}}
			},
			States: []statebackend.Spec{
				{Name: splitsState, Kind: statebackend.List, Schema: splits.Schema().Marshal()},
			},
		},
		Bounded:       src.Boundedness() == connector.Bounded,
		NewEnumerator: newEnumerator(src, splits, state),
	}, nil
}

type source[T any, S connector.Split, E any] struct {
	base[T]
	src      connector.Source[T, S, E]
	strategy *watermark.Strategy[T]
	codec    *codec.Codec[S]
	state    *statebackend.OperatorList[S]
	reader   connector.Reader[T, S]
	wakes    *wakes
	// keeper is nil where there is no strategy.
	keeper *timekeeper[T]
	ledger ledger
	batch  *element.Batch[T]
	// ended is set once the end was sent.
	ended bool
}

func _[T any, S connector.Split, E any]() { var _ SourceOperator = (*source[T, S, E])(nil) }

// Port does not exist: a source has no inputs.
func (s *source[T, S, E]) Port(int) Port { return nil }

// Open makes the reader and gives it the splits of the restored checkpoint.
func (s *source[T, S, E]) Open(ctx context.Context, rt *Runtime) (err error) {
	if err := s.base.Open(ctx, rt); err != nil {
		return err
	}
	defer guard(&rt.Info, &err)
	s.batch = element.NewBatch[T](rowsFor[T](rt))
	if s.state, err = statebackend.NewList[S](splitsState, statebackend.List); err != nil {
		return err
	}
	s.wakes = &wakes{rt: rt}
	if s.reader, err = s.src.NewReader(ctx, connectorRuntime{rt, s.wakes.reader}); err != nil {
		return s.at("open a reader", err)
	}
	if s.strategy != nil {
		s.keeper = newTimekeeper(&s.base, *s.strategy)
	}
	if rt.Restored == nil {
		return nil
	}
	if err := s.state.Restore(rt.Restored); err != nil {
		return err
	}
	return s.add(s.state.Elements())
}

// at says which call of the connector failed.
func (s *source[T, S, E]) at(call string, err error) error {
	return called(fmt.Sprintf("source %q (uid %q): %s", s.rt.Name, s.rt.UID, call), err)
}

func (s *source[T, S, E]) add(splits []S) error {
	if len(splits) == 0 {
		return nil
	}
	for _, sp := range splits {
		if err := s.ledger.add(sp.SplitID()); err != nil {
			return err
		}
		if s.keeper != nil {
			s.keeper.add(sp.SplitID())
		}
	}
	if err := s.reader.Add(splits); err != nil {
		return s.at("add splits", err)
	}
	return nil
}

// AddSplits hands encoded splits to the reader.
func (s *source[T, S, E]) AddSplits(encoded []byte) (err error) {
	defer guard(&s.rt.Info, &err)
	splits, err := decodeRows(s.codec, encoded)
	if err != nil {
		return fmt.Errorf("source %q (uid %q): decode splits: %w", s.rt.Name, s.rt.UID, err)
	}
	return s.add(splits)
}

// NoMoreSplits tells the reader that none follow.
func (s *source[T, S, E]) NoMoreSplits() (err error) {
	defer guard(&s.rt.Info, &err)
	s.reader.NoMoreSplits()
	return nil
}

// Poll asks the reader for a batch and sends it on. The watermark is sent behind a batch when it is time for one, and
// whenever the reader has nothing.
func (s *source[T, S, E]) Poll() (found Polled, err error) {
	if s.ended {
		return Ended, nil
	}
	defer guard(&s.rt.Info, &err)
	s.batch.Reset()
	s.batch.SetHashes(nil) // the column may have come with storage that a receiver left
	id, polled := s.reader.Poll(s.batch)
	if n := s.batch.Len(); n > 0 {
		s.received(n)
		if err := s.send(id); err != nil {
			return Some, err
		}
	}
	switch {
	case polled == nil:
	case errors.Is(polled, connector.ErrSplitEnd):
		if err := s.splitEnd(id); err != nil {
			return Some, err
		}
	case errors.Is(polled, connector.ErrWait):
		found = Nothing
	case errors.Is(polled, io.EOF):
		clear(s.ledger)
		return Ended, s.finish()
	default:
		return Some, s.at("poll", polled)
	}
	return found, s.advance(s.rt.Now(), found == Nothing)
}

func (s *source[T, S, E]) send(id string) error {
	if s.keeper != nil {
		return s.keeper.send(id, s.batch)
	}
	return s.out.Process(s.batch)
}

func (s *source[T, S, E]) splitEnd(id string) error {
	if s.keeper != nil {
		s.keeper.remove(id)
	}
	return s.ledger.finish(id)
}

// advance sends the watermark if one is due, and sees to it that the task calls again when a split goes idle.
func (s *source[T, S, E]) advance(now time.Time, nothing bool) error {
	if s.keeper == nil {
		return nil
	}
	if err := s.keeper.advance(now, nothing); err != nil {
		return err
	}
	if nothing {
		s.wakes.own(s.keeper.wake())
	}
	return nil
}

// Tick looks for idle splits; the task polls again after it.
func (s *source[T, S, E]) Tick(now time.Time) (err error) {
	s.wakes.fired(now)
	if s.ended {
		return nil
	}
	defer guard(&s.rt.Info, &err)
	return s.advance(now, false)
}

// Drain sends the end of time; Stop, which ends the input, follows. The reader keeps its splits, at their positions.
func (s *source[T, S, E]) Drain() error {
	if s.ended {
		return nil
	}
	return s.endOfTime()
}

// Stop ends the input as it is.
func (s *source[T, S, E]) Stop() error {
	if s.ended {
		return nil
	}
	s.ended = true
	return s.End()
}

// finish ends an input that was read to its end.
func (s *source[T, S, E]) finish() error {
	s.ended = true
	if err := s.endOfTime(); err != nil {
		return err
	}
	return s.End()
}

func (s *source[T, S, E]) endOfTime() error {
	if s.keeper != nil {
		return s.keeper.endOfTime()
	}
	return s.Watermark(element.MaxWatermark)
}

// States lists the splits.
func (s *source[T, S, E]) States() []statebackend.State { return []statebackend.State{s.state} }

// Barrier takes the splits at their positions.
func (s *source[T, S, E]) Barrier(cp statebackend.Checkpoint) (err error) {
	defer guard(&s.rt.Info, &err)
	splits, err := s.reader.Snapshot(cp.ID)
	if err != nil {
		return s.at("snapshot", err)
	}
	s.state.Set(splits)
	return nil
}

// Completed tells the reader.
func (s *source[T, S, E]) Completed(checkpoint int64) (err error) {
	defer guard(&s.rt.Info, &err)
	if err := s.reader.Completed(checkpoint); err != nil {
		return s.at("complete a checkpoint", err)
	}
	return nil
}

// Splits is the number of unfinished splits.
func (s *source[T, S, E]) Splits() int { return len(s.ledger) }

// Close closes the reader.
func (s *source[T, S, E]) Close() (err error) {
	if s.reader == nil {
		return nil
	}
	defer guard(&s.rt.Info, &err)
	if err := s.reader.Close(); err != nil {
		return s.at("close", err)
	}
	return nil
}
