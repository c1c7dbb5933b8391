// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package stream

import (
	"time"

	"github.com/weir-stream/weir/internal/operator"
)

// Interval is the distance in event time that an interval join allows.
type Interval struct {
	lower, upper     time.Duration
	noLower, noUpper bool
}

// Between is [lower, upper]; the methods leave a bound out. Bounds may be negative.
func Between(lower, upper time.Duration) Interval { return Interval{lower: lower, upper: upper} }

// LowerExclusive leaves the lower bound out.
func (i Interval) LowerExclusive() Interval {
	i.noLower = true
	return i
}

// UpperExclusive leaves the upper bound out.
func (i Interval) UpperExclusive() Interval {
	i.noUpper = true
	return i
}

// inclusive is the interval with both bounds in it. One whose bounds are the other way round stays so.
func (i Interval) inclusive() operator.Interval {
	in := operator.Interval{Lower: int64(i.lower), Upper: int64(i.upper)}
	if i.noLower {
		in.Lower++
	}
	if i.noUpper {
		in.Upper--
	}
	return in
}

// IntervalJoin pairs each record with those of o whose time minus its own lies in i. Event time only.
func (k Keyed[K, T]) IntervalJoin[B any](o Keyed[K, B], i Interval) IntervalJoin[K, T, B] {
	return IntervalJoin[K, T, B]{pair("IntervalJoin", k, o), operator.IntervalConfig{Interval: i.inclusive()}}
}

// IntervalJoin is an interval join waiting for its function.
type IntervalJoin[K comparable, A, B any] struct {
	c      KeyedConnected[K, A, B]
	config operator.IntervalConfig
}

// LateOutput1 sends records of the first stream that come too late, behind the watermark of both streams together, to tag,
// read by SideOutput; without it they are counted and dropped.
func (j IntervalJoin[K, A, B]) LateOutput1(tag Tag[A]) IntervalJoin[K, A, B] {
	j.config.Late1 = tag.name
	return j
}

// LateOutput2 is LateOutput1 for the second stream.
func (j IntervalJoin[K, A, B]) LateOutput2(tag Tag[B]) IntervalJoin[K, A, B] {
	j.config.Late2 = tag.name
	return j
}

// Apply calls f for each pair, as soon as both have come; the result has the later of both times. The row of the key and
// its timers are the join's own.
func (j IntervalJoin[K, A, B]) Apply[U any](uid UID, f func(ctx *Ctx[K], a *A, b *B, out *Out[U]) error) Stream[U] {
	return j.c.apply[U]("IntervalJoin", uid, f == nil, func() (operator.Step, error) {
		return operator.IntervalJoin(j.config, j.c.a.key, j.c.b.key, keyedCtx[K], f)
	})
}
