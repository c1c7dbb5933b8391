// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"iter"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/watermerge"
)

// WindowCoGroup keeps the records that both inputs have for each window of each key, and hands them to process, each side
// in order of arrival, when the watermark passes the end of the window. One of the sides may be empty. A record is kept
// once, however many windows it is in; process must not change it. bind makes the context of the API around that of the
// step, once a subtask.
func WindowCoGroup[K comparable, A, B, U, C any](
	windows Windows, key1 func(*A) K, key2 func(*B) K, bind func(*WindowContext[K]) *C,
	process func(ctx *C, as iter.Seq[*A], bs iter.Seq[*B], out *element.Out[U]) error,
) (Step, error) {
	return newCoWindowStep(windows, key1, key2,
		func(w *windowBase[K, U], s *sides2[A, B]) func() error {
			c, as, bs := bind(&w.window), iter.Seq[*A](s.a.all), iter.Seq[*B](s.b.all)
			return func() error { return process(c, as, bs, w.emit) }
		})
}

// WindowJoin is WindowCoGroup for each pair of a record of the first input and one of the second: those of the first in
// order of arrival, and for each those of the second.
func WindowJoin[K comparable, A, B, U, C any](
	windows Windows, key1 func(*A) K, key2 func(*B) K, bind func(*WindowContext[K]) *C,
	process func(ctx *C, a *A, b *B, out *element.Out[U]) error,
) (Step, error) {
	return newCoWindowStep(windows, key1, key2,
		func(w *windowBase[K, U], s *sides2[A, B]) func() error {
			c := bind(&w.window)
			return func() error {
				if s.b.empty() {
					return nil
				}
				for a := range s.a.all {
					for b := range s.b.all {
						if err := process(c, a, b, w.emit); err != nil {
							return err
						}
					}
				}
				return nil
			}
		})
}

// Sides are the records of both inputs that a window of a key has. They are stored; the fields keep their names.
type Sides[A, B any] struct {
	Left  []Arrival[A]
	Right []Arrival[B]
}

func mergeSides[A, B any](acc, from *Sides[A, B]) {
	mergeArrivals(&acc.Left, &from.Left)
	mergeArrivals(&acc.Right, &from.Right)
}

// sides2 are the records of both inputs for the window at hand.
type sides2[A, B any] struct {
	a arrivals[A]
	b arrivals[B]
	// next is the number of the next record of either side.
	next int64
}

func (s *sides2[A, B]) set(accs []*Sides[A, B]) {
	for _, acc := range accs {
		if len(acc.Left) > 0 {
			s.a.lists = append(s.a.lists, &acc.Left)
		}
		if len(acc.Right) > 0 {
			s.b.lists = append(s.b.lists, &acc.Right)
		}
	}
	s.a.arrange()
	s.b.arrange()
}

func (s *sides2[A, B]) clear() {
	s.a.clear()
	s.b.clear()
}

func (s *sides2[A, B]) restored(acc *Sides[A, B]) {
	s.next = max(s.next, nextNumber(acc.Left), nextNumber(acc.Right))
}

func (s *sides2[A, B]) addLeft(acc *Sides[A, B], in *A) {
	acc.Left = append(acc.Left, Arrival[A]{s.next, *in})
	s.next++
}

func (s *sides2[A, B]) addRight(acc *Sides[A, B], in *B) {
	acc.Right = append(acc.Right, Arrival[B]{s.next, *in})
	s.next++
}

// newCoWindowStep makes a step of windows over two inputs. newFire is called for each subtask; what it returns is called
// for each window of a key that fires.
func newCoWindowStep[K comparable, A, B, U any](
	windows Windows, key1 func(*A) K, key2 func(*B) K,
	newFire func(w *windowBase[K, U], s *sides2[A, B]) func() error,
) (Step, error) {
	how := accumulators[Sides[A, B]]{merge: mergeSides[A, B], appendOnly: true}
	newContents := func(w *windowBase[K, U]) (contents[Sides[A, B]], *sides2[A, B]) {
		s := &sides2[A, B]{}
		fire := newFire(w, s)
		return contents[Sides[A, B]]{restored: s.restored, fire: func(accs []*Sides[A, B]) error {
			s.set(accs)
			err := fire()
			s.clear()
			if err != nil {
				return w.rt.failed(err)
			}
			return nil
		}}, s
	}
	if windows.sessions() {
		return newCoSessionStep(windows, how, key1, key2, newContents)
	}
	kind, err := newWindowKind[K](windows, how)
	if err != nil {
		return Step{}, err
	}
	return Step{Inputs: 2, States: kind.states, KeepsText: keepsText[K, Sides[A, B]](), New: func() Operator {
		w, m := newWindower[K, Sides[A, B], U](kind), watermerge.New(2)
		c, s := newContents(&w.windowBase)
		w.contents = c
		w.ports = []Port{
			PortOf[A](&windowInput[K, A, Sides[A, B], U]{control: merged{0, m, w}, w: w, key: key1, add: s.addLeft}),
			PortOf[B](&windowInput[K, B, Sides[A, B], U]{control: merged{1, m, w}, w: w, key: key2, add: s.addRight}),
		}
		return w
	}}, nil
}

// newCoSessionStep is newCoWindowStep for sessions of both inputs together.
func newCoSessionStep[K comparable, A, B, U any](
	windows Windows, how accumulators[Sides[A, B]], key1 func(*A) K, key2 func(*B) K,
	newContents func(*windowBase[K, U]) (contents[Sides[A, B]], *sides2[A, B]),
) (Step, error) {
	kind, err := newSessionKind[K](windows, how)
	if err != nil {
		return Step{}, err
	}
	fixed, _ := windows.Assigner.Gap()
	gap := int64(fixed)
	return Step{Inputs: 2, States: kind.states, KeepsText: keepsText[K, Sides[A, B]](), New: func() Operator {
		w, m := newSessionizer[K, Sides[A, B], U](kind), watermerge.New(2)
		c, s := newContents(&w.windowBase)
		w.contents = c
		w.ports = []Port{
			PortOf[A](&sessionInput[K, A, Sides[A, B], U]{control: merged{0, m, w}, s: w, key: key1, add: s.addLeft, gap: gap}),
			PortOf[B](&sessionInput[K, B, Sides[A, B], U]{control: merged{1, m, w}, s: w, key: key2, add: s.addRight, gap: gap}),
		}
		return w
	}}, nil
}
