// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/keys"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/statebackend/heap"
)

// sessionsName is the name of the sessions of a windowed step, beside heap.WatermarksName.
const sessionsName = "sessions"

// sessionKind is what all subtasks of a step of sessions share.
type sessionKind[K comparable, A any] struct {
	config heap.SessionsConfig[A]
	hash   func(*K) uint64
	states []statebackend.Spec
}

func newSessionKind[K comparable, A any](windows Windows, how accumulators[A]) (*sessionKind[K, A], error) {
	if err := windows.check(); err != nil {
		return nil, err
	}
	hash, err := keys.HasherFor[K]()
	if err != nil {
		return nil, err
	}
	config := heap.SessionsConfig[A]{
		Config: emptyConfig(sessionsName), Lateness: int64(windows.Lateness), Merge: how.merge, AppendOnly: how.appendOnly,
	}
	empty, err := heap.NewSessions[K](config)
	if err != nil {
		return nil, err
	}
	seen, err := watermarkSpec()
	if err != nil {
		return nil, err
	}
	return &sessionKind[K, A]{config, hash, []statebackend.Spec{
		{Name: sessionsName, Kind: statebackend.Keyed, Schema: empty.Schema()}, seen,
	}}, empty.Close()
}

// newSessionStep is newWindowStep for sessions.
func newSessionStep[K comparable, T, A, U any](
	windows Windows, how accumulators[A], key func(*T) K,
	newContents func(*windowBase[K, U]) (c contents[A], add func(acc *A, in *T)),
) (Step, error) {
	kind, err := newSessionKind[K](windows, how)
	if err != nil {
		return Step{}, err
	}
	gap, _ := windows.Assigner.Gap()
	gapOf, ok := windows.Gap.(func(*T) time.Duration)
	if windows.Gap != nil && !ok {
		return Step{}, fmt.Errorf("session windows with a gap that is %T, of records %v", windows.Gap, reflect.TypeFor[T]())
	}
	return Step{Inputs: 1, States: kind.states, KeepsText: keepsText[K, A](), New: func() Operator {
		s := newSessionizer[K, A, U](kind)
		c, add := newContents(&s.windowBase)
		s.contents = c
		in := &sessionInput[K, T, A, U]{
			control: s, s: s, key: key, add: add, gap: int64(gap), gapOf: gapOf, late: windows.Late,
		}
		if !how.appendOnly {
			in.combined = PortOf[Combined[K, A]](&sessionInput[K, Combined[K, A], A, U]{
				control: s, s: s, key: (*Combined[K, A]).key, gapOf: (*Combined[K, A]).gap, records: (*Combined[K, A]).records,
				add: func(acc *A, in *Combined[K, A]) { how.merge(acc, &in.Acc) },
			})
		}
		s.ports = []Port{PortOf[T](in)}
		return s
	}}, nil
}

// sessionizer is a step of session windows.
//
//	record -> session, after those that it touches have become one -+- open: add
//	                                                                +- has fired: add, and fire it again
//	                                                                +- its own, and gone: late output
//	watermark -> fire sessions that end, drop those that no record can come for
type sessionizer[K comparable, A, U any] struct {
	windowBase[K, U]
	kind     *sessionKind[K, A]
	sessions *heap.Sessions[K, A]
	contents contents[A]
	// one is the accumulator of the session at hand.
	one [1]*A
}

var _ Operator = (*sessionizer[int, int, int])(nil)

func newSessionizer[K comparable, A, U any](kind *sessionKind[K, A]) *sessionizer[K, A, U] {
	s := &sessionizer[K, A, U]{kind: kind}
	s.hash = kind.hash
	return s
}

// Open makes the state, and restores it.
func (s *sessionizer[K, A, U]) Open(ctx context.Context, rt *Runtime) (err error) {
	if err := s.windowBase.Open(ctx, rt); err != nil {
		return err
	}
	config := s.kind.config
	config.Config = tableConfig(sessionsName, rt)
	if s.sessions, err = heap.NewSessions[K](config); err != nil || rt.Restored == nil {
		return err
	}
	if _, err := s.time.restore(rt); err != nil {
		return err
	}
	if err := s.sessions.Restore(rt.Restored); err != nil || s.contents.restored == nil {
		return err
	}
	for _, w := range s.sessions.All() {
		s.contents.restored(&w.Acc)
	}
	return nil
}

// States lists sessions and watermarks.
func (s *sessionizer[K, A, U]) States() []statebackend.State {
	return []statebackend.State{s.sessions, s.time.seen}
}

// Close gives the memory back.
func (s *sessionizer[K, A, U]) Close() error {
	if s.sessions == nil {
		return nil
	}
	return s.sessions.Close()
}

// Watermark fires the sessions that end, in order of time, and passes it on.
func (s *sessionizer[K, A, U]) Watermark(at int64) (err error) {
	defer guard(&s.rt.Info, &err)
	s.note(at)
	if err := s.sessions.Advance(at, s.fire); err != nil {
		return err
	}
	s.time.advance(at)
	s.note(at)
	if err := s.flush(s.emit); err != nil {
		return err
	}
	return s.passWatermark(at)
}

func (s *sessionizer[K, A, U]) fire(h uint64, k *K, w *heap.Session[A]) error {
	s.enter(k, h, w.Start, w.End)
	s.one[0] = s.sessions.Lend(w)
	return s.contents.fire(s.one[:])
}

// sessionInput is one input of a sessionizer.
type sessionInput[K comparable, T, A, U any] struct {
	control
	s   *sessionizer[K, A, U]
	key func(*T) K
	add func(acc *A, in *T)
	// gap is that of all records, unless gapOf chooses it.
	gap   int64
	gapOf func(*T) time.Duration
	// late is the tag for late records, or empty.
	late string
	// records tells how many records a row stands for; nil is one. combined is for rows that stand for several, or nil.
	records  func(*T) int64
	combined Port
	// current is the key of the record at hand; it has a place of its own, so that a pointer to it costs no allocation.
	current K
}

func (in *sessionInput[K, T, A, U]) combinedPort() Port { return in.combined }

// Process handles a batch.
func (in *sessionInput[K, T, A, U]) Process(b *element.Batch[T]) (err error) {
	s := in.s
	defer guard(&s.rt.Info, &err)
	s.take(b.Rows(), in.records)
	hashes, err := hashed(b, in.key, s.hash, s.rt, &s.hashes)
	if err != nil {
		return err
	}
	if b.Times() == nil {
		return s.rt.failed(errNoTime)
	}
	if err := in.collect(b.Rows(), b.Times(), hashes); err != nil {
		return err
	}
	return s.flush(s.emit)
}

func (in *sessionInput[K, T, A, U]) collect(rows []T, times []int64, hashes []uint64) error {
	s, sessions, gap := in.s, in.s.sessions, in.gap
	watermark, settled := s.time.current, s.time.settled()
	hashes, times = hashes[:len(rows)], times[:len(rows)]
	for i := range rows {
		if i%heap.PrefetchGroup == 0 {
			sessions.Prefetch(hashes, i)
		}
		if in.gapOf != nil {
			gap = int64(in.gapOf(&rows[i]))
		}
		t := times[i]
		if t == element.NoTime || gap <= 0 || t > math.MaxInt64-gap {
			return s.rt.failed(sessionFault(t, gap))
		}
		if !settled {
			watermark = s.time.of(hashes[i])
		}
		in.current = in.key(&rows[i])
		w := sessions.Put(hashes[i], &in.current, t, t+gap, watermark)
		if w == nil {
			s.drop(&rows[i], t, in.late, in.records)
			continue
		}
		in.add(&w.Acc, &rows[i])
		if w.End-1 <= watermark {
			if err := s.fire(hashes[i], &in.current, w); err != nil {
				return err
			}
		}
	}
	return nil
}

// sessionFault is what is wrong with a record that opens no session.
func sessionFault(t, gap int64) error {
	switch {
	case t == element.NoTime:
		return errNoTime
	case gap <= 0:
		return fmt.Errorf("a record chose %v as the gap of its session: it must be positive", time.Duration(gap))
	default:
		return fmt.Errorf("%w: %v", errTime, time.Unix(0, t).UTC())
	}
}
