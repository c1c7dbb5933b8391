// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task

import (
	"sync/atomic"
	"time"

	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/statebackend"
)

// figures are the metrics of a task: written by its goroutine, read by any.
type figures struct {
	batches atomic.Int64
	// from and to bound the time that is accounted for, in Unix nanoseconds, zero before; idleSince is set while the
	// task waits.
	from, to, idleSince, idleNanos atomic.Int64
	// published are the steps and outputs, once they are there.
	published atomic.Pointer[published]
	// secondly is when sizes are looked at next, looked the number of batches when they last were: both are the
	// goroutine's.
	secondly time.Time
	looked   int64
}

// published is what other goroutines may read of a chain. The gate is nil in tasks without inputs.
type published struct {
	steps      []*step
	outputs    []exchange.Output
	gate       *exchange.Gate
	partitions []*exchange.Partition
}

// running begins the time that is accounted for.
func (t *subtask) running(now time.Time) {
	t.published.Store(&published{t.steps, t.outputs, t.gate, t.partitions})
	t.from.Store(now.UnixNano())
	t.secondly = now.Add(time.Second)
}

func (t *subtask) stopped(now time.Time) { t.to.Store(now.UnixNano()) }

func (t *subtask) beginIdle(now time.Time) { t.idleSince.Store(now.UnixNano()) }

func (t *subtask) endIdle(now time.Time) {
	t.idleNanos.Add(max(0, now.UnixNano()-t.idleSince.Load()))
	t.idleSince.Store(0)
}

// publishSizes takes the sizes of states.
func (t *subtask) publishSizes() {
	t.looked = t.batches.Load()
	for _, s := range t.steps {
		var sum statebackend.Size
		for _, state := range s.states {
			size := state.Size()
			sum.Rows += size.Rows
			sum.Bytes += size.Bytes
		}
		s.size.Store(&sum)
	}
}

// restless reports whether the once-a-second work has something to do, so that an idle task has to wake for it.
func (t *subtask) restless() bool {
	if t.batches.Load() != t.looked {
		return true
	}
	if t.ledger == nil {
		return false
	}
	_, missing := t.ledger.Missing()
	return missing
}

// Metrics reads the figures.
func (t *subtask) Metrics() Metrics {
	m := Metrics{BatchesIn: t.batches.Load()}
	p := t.published.Load()
	if p == nil {
		return m
	}
	end := t.to.Load()
	if end == 0 {
		end = t.clock.Now().UnixNano()
	}
	idle := t.idleNanos.Load()
	if since := t.idleSince.Load(); since != 0 {
		idle += max(0, end-since)
	}
	var blocked int64
	for _, o := range p.outputs {
		blocked += o.Blocked()
	}
	if p.gate != nil {
		m.BytesIn = p.gate.Bytes()
	}
	for _, out := range p.partitions {
		m.BytesOut += out.Bytes()
	}
	m.Idle, m.Backpressured = time.Duration(idle), time.Duration(blocked)
	m.Busy = max(0, time.Duration(end-t.from.Load())-m.Idle-m.Backpressured)
	for _, s := range p.steps {
		o := OperatorMetrics{UID: s.node.UID, Name: s.node.Name, Metrics: s.metrics}
		if size := s.size.Load(); size != nil {
			o.State = *size
		}
		m.Operators = append(m.Operators, o)
	}
	return m
}
