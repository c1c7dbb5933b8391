// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/weir-stream/weir/element"
)

// Metrics are the figures of one operator of one subtask: written by its goroutine once a batch, read by any other.
type Metrics struct {
	RecordsIn, RecordsOut, LateDropped atomic.Int64
	// Watermark is that of the operator; MinWatermark before the first.
	Watermark atomic.Int64
	// Holder names the split that holds back the watermark of a source; nil or empty where none does.
	Holder atomic.Pointer[string]

	mu struct {
		sync.Mutex
		counters map[string]*atomic.Int64
		gauges   map[string]func() float64
	}
}

// NewMetrics makes the figures of an operator that has not begun.
func NewMetrics() *Metrics {
	m := &Metrics{}
	m.Watermark.Store(element.MinWatermark)
	m.mu.counters = map[string]*atomic.Int64{}
	m.mu.gauges = map[string]func() float64{}
	return m
}

// Counter returns the counter of that name, made by the first call.
func (m *Metrics) Counter(name string) *atomic.Int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.mu.counters[name]
	if !ok {
		c = new(atomic.Int64)
		m.mu.counters[name] = c
	}
	return c
}

// Gauge sets the function that reads the gauge of that name; read is called from other goroutines.
func (m *Metrics) Gauge(name string, read func() float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.gauges[name] = read
}

// Counters returns the values of all counters.
func (m *Metrics) Counters() map[string]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[string]int64, len(m.mu.counters))
	for name, c := range m.mu.counters {
		all[name] = c.Load()
	}
	return all
}

// Gauges reads all gauges, without holding a lock meanwhile.
func (m *Metrics) Gauges() map[string]float64 {
	m.mu.Lock()
	read := maps.Clone(m.mu.gauges)
	m.mu.Unlock()
	all := make(map[string]float64, len(read))
	for name, f := range read {
		all[name] = f()
	}
	return all
}

// hold says which split holds back the watermark.
func (m *Metrics) hold(split string) {
	if old := m.Holder.Load(); old == nil && split == "" || old != nil && *old == split {
		return
	}
	m.Holder.Store(&split)
}
