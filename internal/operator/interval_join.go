// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/statebackend/heap"
)

// Interval is how far the time of a record of the second input may lie behind that of one of the first, in nanoseconds:
// Lower to Upper, both included; they may be negative.
type Interval struct{ Lower, Upper int64 }

// IntervalConfig is an Interval, and the tags for records of both inputs that come too late. Where a tag is empty, they
// are counted and dropped.
type IntervalConfig struct {
	Interval
	Late1, Late2 string
}

// IntervalJoin calls f for each pair of records of a key whose times are that far apart, as soon as the second of them has
// come, whichever that is; the pair has the later of both times. A record is late if its time lies behind the watermark of
// both inputs together. bind makes the context of the API around that of the step, once a subtask.
func IntervalJoin[K comparable, A, B, U, C any](
	config IntervalConfig, key1 func(*A) K, key2 func(*B) K,
	bind func(*KeyedContext[K]) *C, f func(ctx *C, a *A, b *B, out *element.Out[U]) error,
) (Step, error) {
	i := config.Interval
	if i.Lower > i.Upper {
		return Step{}, fmt.Errorf("no time lies between %v and %v: the lower bound is above the upper",
			time.Duration(i.Lower), time.Duration(i.Upper))
	}
	// A record of the first input waits until Upper behind it, one of the second until -Lower behind it.
	keep1, keep2 := max(0, i.Upper), max(0, clampedSum(0, i.Lower, -1))
	span := clampedSum(keep1, keep2, 1)
	slack, spare := span/timerSlack, span/cleanups
	return KeyedCoProcess(key1, key2, newIntervalContext(bind), func() KeyedCoFuncs[Buffers[A, B], A, B, U, intervalContext[K, C]] {
		return KeyedCoFuncs[Buffers[A, B], A, B, U, intervalContext[K, C]]{
			Process1: func(st *Buffers[A, B], c *intervalContext[K, C], in *A, out *element.Out[U]) error {
				at, ok, err := enterInterval(c, len(st.Left)+len(st.Right) == 0, in, config.Late1, keep1, slack)
				if !ok {
					return err
				}
				tidy(&st.Left, c.k.watermark, keep1, spare)
				tidy(&st.Right, c.k.watermark, keep2, spare)
				lo, hi := clampedSum(at, i.Lower, 1), clampedSum(at, i.Upper, 1)
				for n := from(st.Right, lo); n < len(st.Right) && st.Right[n].At <= hi; n++ {
					b := &st.Right[n]
					c.pair(max(at, b.At))
					out.At(max(at, b.At))
					if err := f(c.user, in, &b.Record, out); err != nil {
						return err
					}
				}
				insert(&st.Left, at, in)
				return c.leave()
			},
			Process2: func(st *Buffers[A, B], c *intervalContext[K, C], in *B, out *element.Out[U]) error {
				at, ok, err := enterInterval(c, len(st.Left)+len(st.Right) == 0, in, config.Late2, keep2, slack)
				if !ok {
					return err
				}
				tidy(&st.Left, c.k.watermark, keep1, spare)
				tidy(&st.Right, c.k.watermark, keep2, spare)
				lo, hi := clampedSum(at, i.Upper, -1), clampedSum(at, i.Lower, -1)
				for n := from(st.Left, lo); n < len(st.Left) && st.Left[n].At <= hi; n++ {
					a := &st.Left[n]
					c.pair(max(at, a.At))
					out.At(max(at, a.At))
					if err := f(c.user, &a.Record, in, out); err != nil {
						return err
					}
				}
				insert(&st.Right, at, in)
				return c.leave()
			},
			OnTimer: func(st *Buffers[A, B], c *intervalContext[K, C], _ Timer, _ *element.Out[U]) error {
				next := min(prune(&st.Left, c.k.watermark, keep1), prune(&st.Right, c.k.watermark, keep2))
				if len(st.Left)+len(st.Right) == 0 {
					c.k.deleted = true
				} else {
					c.arm(next, slack)
				}
				return nil
			},
		}
	})
}

const (
	// cleanups is how often the buffers of a busy key are looked through in the time that a record of either input can
	// wait. So there is up to an eighth more in them than can still be paired.
	cleanups = 8
	// timerSlack is the part of that time, half of it, by which the timer of a key comes later than something can be
	// forgotten: it is for keys that have fallen silent.
	timerSlack = 2
)

// Buffers are the records of a key that wait for partners: each list in order of time, those of one time in order of
// arrival. They are stored; the fields keep their names.
//
// Invariant: a row that is not empty has one timer.
type Buffers[A, B any] struct {
	Left  []Buffered[A]
	Right []Buffered[B]
}

// Buffered is a record in state, with its time.
type Buffered[T any] struct {
	At     int64
	Record T
}

// from is the place of the first record at a time or later.
func from[T any](list []Buffered[T], at int64) int {
	if n := len(list); n == 0 || list[n-1].At < at {
		return n
	}
	return sort.Search(len(list), func(n int) bool { return list[n].At >= at })
}

// insert adds a record behind those of its time.
func insert[T any](list *[]Buffered[T], at int64, r *T) {
	n := len(*list)
	if n > 0 && (*list)[n-1].At > at {
		n = from(*list, at+1)
	}
	*list = slices.Insert(*list, n, Buffered[T]{at, *r})
}

// shrinkMin is the least capacity of a list that is given back when most of it is not in use.
const shrinkMin = 64

// prune drops the records for which no partner can come any more, and returns the time of the watermark from which on that
// holds of the first that is left.
func prune[T any](list *[]Buffered[T], watermark, keep int64) (next int64) {
	n := 0
	for n < len(*list) && (watermark == element.MaxWatermark || clampedSum((*list)[n].At, keep, 1) < watermark) {
		n++
	}
	if *list = slices.Delete(*list, 0, n); cap(*list) > shrinkMin && len(*list) < cap(*list)/4 {
		*list = slices.Clone(*list)
	}
	if len(*list) == 0 {
		return math.MaxInt64
	}
	return clampedSum(clampedSum((*list)[0].At, keep, 1), 1, 1)
}

// tidy is prune for a list whose first record could have been forgotten for some time.
func tidy[T any](list *[]Buffered[T], watermark, keep, spare int64) {
	if len(*list) > 0 && clampedSum(clampedSum((*list)[0].At, keep, 1), spare, 1) < watermark {
		prune(list, watermark, keep)
	}
}

// intervalContext is the context of a step, and that which its user sees: of a key, without the row and the timers.
type intervalContext[K comparable, C any] struct {
	k     *KeyedContext[K]
	shown KeyedContext[K]
	user  *C
}

func newIntervalContext[K comparable, C any](
	bind func(*KeyedContext[K]) *C,
) func(*KeyedContext[K]) *intervalContext[K, C] {
	return func(k *KeyedContext[K]) *intervalContext[K, C] {
		c := &intervalContext[K, C]{k: k}
		c.shown.Context = k.Context
		c.user = bind(&c.shown)
		return c
	}
}

var (
	errNoIntervalTime = errors.New("a record without an event time in an interval join: give the source, or the stream, watermarks")
	errNoRow          = errors.New("Delete in an interval join: the records that wait for partners are not the function's")
)

// enterInterval begins the call for a record that waits for keep, and returns its time. ok is false if it is late; what is
// wrong with it comes back as err.
func enterInterval[K comparable, C, T any](
	c *intervalContext[K, C], empty bool, in *T, late string, keep, slack int64,
) (at int64, ok bool, err error) {
	k := c.k
	at = k.at
	if at >= k.watermark && at != element.NoTime {
		if empty {
			c.arm(clampedSum(clampedSum(at, keep, 1), 1, 1), slack)
		}
		c.shown.key, c.shown.hash = k.key, k.hash
		return at, true, nil
	}
	k.deleted = empty
	switch {
	case at == element.NoTime:
		return at, false, errNoIntervalTime
	case late == "":
		k.rt.Metrics.LateDropped.Add(1)
	default:
		k.Output(late, *in)
	}
	return at, false, nil
}

// pair begins the call for a pair.
func (c *intervalContext[K, C]) pair(at int64) { c.k.at = at }

// leave ends the calls for a record.
func (c *intervalContext[K, C]) leave() error {
	if c.shown.deleted {
		return errNoRow
	}
	return nil
}

// arm asks for a look at the buffers of the key.
func (c *intervalContext[K, C]) arm(at, slack int64) {
	c.k.timers.Register(heap.EventTime, clampedSum(at, slack, 1), c.k.hash, &c.k.key)
}

// clampedSum is a + sign*b, for a sign of 1 or -1, held to the range of int64.
func clampedSum(a, b, sign int64) int64 {
	if sign < 0 {
		if b == math.MinInt64 {
			b++
		}
		b = -b
	}
	switch sum := a + b; {
	case b > 0 && sum < a:
		return math.MaxInt64
	case b < 0 && sum > a:
		return math.MinInt64
	default:
		return sum
	}
}
