// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package role

import (
	"os"
	"runtime/debug"
)

const (
	// garbagePercent lets the heap grow further between two collections than Go's default: records that live as long as a
	// batch make garbage fast and hold little.
	garbagePercent = 400
	// runtimePercent is the share of the memory of the process that its Go runtime may use, besides state: the rest is for
	// code, threads and what the kernel holds for it.
	runtimePercent = 90
	// heapPercentMin is the share that is left to the heap however much state there is: with less the collector would run
	// all the time, and too much state fails by the limit of the process.
	heapPercentMin = 20
)

// memory keeps the collector's limit at what state outside the heap leaves of the memory of the process.
type memory struct {
	// allowed is that of the process, zero for no limit; state is what lies outside the heap.
	allowed, state int64
	limit          int64
}

// begin sets how the collector works.
func (m *memory) begin(allowed int64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	m.allow(allowed)
}

// allow changes the memory of the process.
func (m *memory) allow(bytes int64) {
	m.allowed = bytes
	m.set()
}

// outside takes how much state there is.
func (m *memory) outside(bytes int64) {
	m.state = bytes
	m.set()
}

func (m *memory) set() {
	if limit := m.heap(); limit > 0 && limit != m.limit {
		m.limit = limit
		debug.SetMemoryLimit(limit)
	}
}

// heap is the limit of the heap, zero for none.
func (m *memory) heap() int64 {
	percent := m.allowed / 100
	return max(percent*runtimePercent-m.state, percent*heapPercentMin)
}
