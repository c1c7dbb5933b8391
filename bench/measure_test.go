// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package bench

import (
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
)

// cpu is the CPU time that the process has used, in user code and in the kernel.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// side is one of those that a benchmark compares: run does a round of work.
type side struct {
	name string
	run  func()
	// spent has the CPU time of each round.
	spent   []time.Duration
	mallocs uint64
}

// median is that of the rounds, in nanoseconds a record.
func (s *side) median(records int64) float64 {
	sorted := slices.Sorted(slices.Values(s.spent))
	return float64(sorted[len(sorted)/2].Nanoseconds()) / float64(records)
}

// compare runs rounds of all sides in turn and reports each one's nanoseconds a record, the ratios of the first to the
// others, and what a round of the first allocates for each record.
func compare(b *testing.B, records int64, sides ...*side) {
	b.Helper()
	for _, s := range sides { // the first round warms up
		s.run()
	}
	runtime.GC()
	for b.Loop() {
		for _, s := range sides {
			before := allocated()
			began := cpu(b)
			s.run()
			s.spent = append(s.spent, cpu(b)-began)
			s.mallocs += allocated() - before
		}
	}
	b.ReportMetric(0, "ns/op") // an operation is a round of all sides
	first := sides[0].median(records)
	for i, s := range sides {
		b.ReportMetric(s.median(records), s.name+"-ns/rec")
		if i > 0 {
			b.ReportMetric(first/s.median(records), "ratio-"+s.name)
		}
	}
	b.ReportMetric(float64(sides[0].mallocs)/float64(records)/float64(b.N), "allocs/rec")
}

// allocated is the number of objects that were allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
