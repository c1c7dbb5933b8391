// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package coordinator

import "time"

// idsLow is how many ids are left when the next block is asked for.
const idsLow = 4

// ids hands out reserved ids, ascending.
type ids struct {
	// first is the first ever, next the one to be handed out if any are left.
	first, next int64
	left        int
	asked       bool
	retryAt     time.Time
	retry       backoff
}

func (i *ids) take() int64 {
	id := i.next
	i.next++
	i.left--
	return id
}

func (i *ids) wanted(now time.Time) bool {
	return i.left < idsLow && !i.asked && !now.Before(i.retryAt)
}

// deadline is when the next block is asked for again, zero if that is not to be.
func (i *ids) deadline() time.Time {
	if i.left >= idsLow || i.asked {
		return time.Time{}
	}
	return i.retryAt
}

func (i *ids) reserved(e IDsReserved) {
	if e.First < i.next+int64(i.left) {
		return // a repeated answer
	}
	i.asked, i.retryAt, i.retry = false, time.Time{}, 0
	if e.First == i.next+int64(i.left) {
		i.left += e.Count
		return
	}
	i.next, i.left = e.First, e.Count
}

func (i *ids) failed(now time.Time) {
	if !i.asked {
		return // a repeated answer
	}
	i.asked = false
	i.retryAt = now.Add(i.retry.next())
}

// backoff counts attempts; the delay doubles with each.
type backoff int

func (b *backoff) next() time.Duration {
	d := min(retryMin<<min(int(*b), 16), retryMax)
	*b++
	return d
}
