// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

// Queue has timers in order of time, those of one time in order of the hash of their keys: a binary heap, the first
// timer in front. It is not state: whoever has one makes it anew of what is stored.
type Queue[K comparable] []Timer[K]

// Push adds a timer.
func (q *Queue[K]) Push(x Timer[K]) {
	h := append(*q, x)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !x.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = x
	*q = h
}

// Pop removes the first timer of those that there are.
func (q *Queue[K]) Pop() Timer[K] {
	h := *q
	first, last := h[0], h[len(h)-1]
	h[len(h)-1] = Timer[K]{}
	h = h[:len(h)-1]
	*q = h
	if len(h) > 0 {
		h.sift(0, last)
	}
	return first
}

// heapify puts timers that were appended in any order in their places.
func (q Queue[K]) heapify() {
	for i := len(q)/2 - 1; i >= 0; i-- {
		q.sift(i, q[i])
	}
}

// sift puts x where place i and those below it are free for it.
func (q Queue[K]) sift(i int, x Timer[K]) {
	for {
		down := 2*i + 1
		if down >= len(q) {
			break
		}
		if down+1 < len(q) && q[down+1].before(&q[down]) {
			down++
		}
		if !q[down].before(&x) {
			break
		}
		q[i] = q[down]
		i = down
	}
	q[i] = x
}

func (x *Timer[K]) before(y *Timer[K]) bool {
	return x.Time < y.Time || x.Time == y.Time && x.Hash < y.Hash
}
