// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package element

import "sync"

// Pool is the free list of one sender: batches that it filled come home to it when their last holder releases them, so
// that a steady edge allocates nothing. It is safe for use by several goroutines: consumers release from theirs.
type Pool[T any] struct {
	rows int
	keep int

	mu struct {
		sync.Mutex
		free []*Batch[T]
	}
}

// NewPool makes a pool of batches of rows rows that keeps at most keep of them while they are unused.
func NewPool[T any](rows, keep int) *Pool[T] { return &Pool[T]{rows: rows, keep: keep} }

// Rows is the limit of the batches of the pool.
func (p *Pool[T]) Rows() int { return p.rows }

// Get returns an empty batch with a single holder, from the free list or new and without storage.
func (p *Pool[T]) Get() *Batch[T] {
	p.mu.Lock()
	n := len(p.mu.free)
	if n == 0 {
		p.mu.Unlock()
		return &Batch[T]{limit: p.rows, home: p}
	}
	b := p.mu.free[n-1]
	p.mu.free[n-1] = nil
	p.mu.free = p.mu.free[:n-1]
	p.mu.Unlock()
	b.Reset()
	return b
}

func (p *Pool[T]) put(b *Batch[T]) {
	p.mu.Lock()
	if len(p.mu.free) < p.keep {
		p.mu.free = append(p.mu.free, b)
	}
	p.mu.Unlock()
}
