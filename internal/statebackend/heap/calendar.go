// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import "math/bits"

// calendar has timers by time, in a way that suits those that are mostly moved before they are due. It holds them by day,
// in no order; a day that has come is opened, and its timers are put in order then.
//
//	near: days up to today    tomorrow    later
//	queue in order            list        list ...
//
// It is not state, but made anew of what is stored.
type calendar[K comparable] struct {
	// near has the timers of all days up to today, days those of later ones, and order the numbers of those.
	near  Queue[K]
	days  map[int64][]Timer[K]
	order Queue[none]
	today int64
	// A day is 1<<shift nanoseconds. sized is set once that has been chosen.
	shift uint
	sized bool
	// count is the number of timers; free has storage of days gone by.
	count int
	free  [][]Timer[K]
}

const (
	// spanDays is how many days there are in the time that a timer usually waits.
	spanDays = 64
	// daysMax is the most days with timers: with more, days become longer.
	daysMax = 4096
	// freeDaysMax is how many lists are kept.
	freeDaysMax = 8
)

// begin chooses the length of a day by the time that timers wait for.
func (c *calendar[K]) begin(span int64) {
	c.sized, c.shift = true, uint(bits.Len64(uint64(max(1, span/spanDays)))-1)
	c.days, c.today = map[int64][]Timer[K]{}, minDay
}

// minDay is before all days.
const minDay = -1 << 63

func (c *calendar[K]) push(x Timer[K]) {
	c.count++
	day := x.Time >> c.shift
	if day <= c.today {
		c.near.Push(x)
		return
	}
	list, ok := c.days[day]
	if !ok {
		c.order.Push(Timer[none]{Time: day})
		if n := len(c.free); n > 0 {
			list, c.free = c.free[n-1], c.free[:n-1]
		}
	}
	c.days[day] = append(list, x)
	if len(c.days) > daysMax {
		c.lengthen()
	}
}

// lengthen makes days longer.
func (c *calendar[K]) lengthen() {
	const by = 4
	old := c.days
	c.shift += by
	c.today >>= by
	c.days, c.order, c.count = map[int64][]Timer[K]{}, c.order[:0], len(c.near)
	for _, list := range old {
		for _, x := range list {
			c.push(x)
		}
	}
}

// open returns the timers of the first day that has come by a time, and makes it today; nil if there is none. They count
// no more, and the list is the calendar's again with the call of done.
func (c *calendar[K]) open(until int64) []Timer[K] {
	if len(c.order) == 0 || c.order[0].Time > until>>c.shift {
		return nil
	}
	c.today = c.order.Pop().Time
	list := c.days[c.today]
	delete(c.days, c.today)
	c.count -= len(list)
	return list
}

func (c *calendar[K]) done(list []Timer[K]) {
	clear(list)
	if len(c.free) < freeDaysMax {
		c.free = append(c.free, list[:0])
	}
}

// pop removes and returns the first timer of today or before that is due at until.
func (c *calendar[K]) pop(until int64) (x Timer[K], ok bool) {
	if len(c.near) == 0 || c.near[0].Time > until {
		return x, false
	}
	c.count--
	return c.near.Pop(), true
}

// empty removes all timers.
func (c *calendar[K]) empty() {
	*c = calendar[K]{shift: c.shift, sized: c.sized, days: map[int64][]Timer[K]{}, today: minDay}
}
