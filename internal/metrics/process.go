// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"math"
	"runtime"
	runtimemetrics "runtime/metrics"
	"sync"
	"syscall"
	"time"
)

// Process reads the figures of this process. The zero value works; one is kept for the life of the process, because the
// load is measured between two readings.
type Process struct {
	mu sync.Mutex
	// last and used are when it was read last and the processor time that the process had used then.
	last time.Time
	used time.Duration
	load float64
	gc   float64
	gcMS float64
}

// loadInterval is the shortest time over which a load means something; readings that follow sooner repeat the last one.
const loadInterval = 500 * time.Millisecond

// Names of the runtime's figures.
const (
	runtimeHeap       = "/memory/classes/heap/objects:bytes"
	runtimeHeapUnused = "/memory/classes/heap/unused:bytes"
	runtimeHeapFree   = "/memory/classes/heap/free:bytes"
	runtimeTotal      = "/memory/classes/total:bytes"
	runtimeReleased   = "/memory/classes/heap/released:bytes"
	runtimeLimit      = "/gc/gomemlimit:bytes"
	runtimeCycles     = "/gc/cycles/total:gc-cycles"
	runtimeGoroutines = "/sched/goroutines:goroutines"
	runtimeCollecting = "/cpu/classes/gc/total:cpu-seconds"
)

// Read returns gauges by Flink's names. What a Java process has and a Go process has not is 0, or -1 for an unlimited
// maximum; threads are goroutines. The heap may become as large as the limit that is set, or else as the machine's memory.
func (p *Process) Read(now time.Time) map[string]float64 {
	r := readRuntime()
	heapMax := r[runtimeLimit]
	if heapMax >= math.MaxInt64 {
		// Flink's dashboard divides by it.
		heapMax = float64(MachineMemoryBytes())
	}
	committed := r[runtimeHeap] + r[runtimeHeapUnused] + r[runtimeHeapFree]
	rest := max(0, r[runtimeTotal]-r[runtimeReleased]-committed)
	collecting := r[runtimeCollecting] * 1000
	used := processorTime()
	load, gcRate := p.rates(now, used, collecting)
	m := map[string]float64{
		"Status.JVM.CPU.Load":                             load,
		"Status.JVM.CPU.Time":                             float64(used.Nanoseconds()),
		"Status.JVM.Memory.Heap.Used":                     r[runtimeHeap],
		"Status.JVM.Memory.Heap.Committed":                committed,
		"Status.JVM.Memory.Heap.Max":                      heapMax,
		"Status.JVM.Memory.NonHeap.Used":                  rest,
		"Status.JVM.Memory.NonHeap.Committed":             rest,
		"Status.JVM.Memory.NonHeap.Max":                   -1,
		"Status.JVM.Threads.Count":                        r[runtimeGoroutines],
		"Status.JVM.GarbageCollector.All.Count":           r[runtimeCycles],
		"Status.JVM.GarbageCollector.All.Time":            math.Floor(collecting),
		"Status.JVM.GarbageCollector.All.TimeMsPerSecond": gcRate,
	}
	for _, name := range absent {
		m[name] = 0
	}
	return m
}

// absent are figures of a Java process that clients of Flink ask for.
var absent = []string{
	"Status.JVM.Memory.Metaspace.Used", "Status.JVM.Memory.Metaspace.Committed", "Status.JVM.Memory.Metaspace.Max",
	"Status.JVM.Memory.Direct.Count", "Status.JVM.Memory.Direct.MemoryUsed", "Status.JVM.Memory.Direct.TotalCapacity",
	"Status.JVM.Memory.Mapped.Count", "Status.JVM.Memory.Mapped.MemoryUsed", "Status.JVM.Memory.Mapped.TotalCapacity",
	"Status.JVM.ClassLoader.ClassesLoaded", "Status.JVM.ClassLoader.ClassesUnloaded",
}

// rates returns the share of all processors that the process used, and the milliseconds of collecting a second, since
// the reading before.
func (p *Process) rates(now time.Time, used time.Duration, collectingMillis float64) (load, gcRate float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	passed := now.Sub(p.last)
	if passed < loadInterval {
		return p.load, p.gcMS
	}
	if !p.last.IsZero() {
		p.load = float64(used-p.used) / float64(passed) / float64(runtime.GOMAXPROCS(0))
		p.gcMS = (collectingMillis - p.gc) / passed.Seconds()
	}
	p.last, p.used, p.gc = now, used, collectingMillis
	return p.load, p.gcMS
}

func readRuntime() map[string]float64 {
	samples := []runtimemetrics.Sample{
		{Name: runtimeHeap},
		{Name: runtimeHeapUnused},
		{Name: runtimeHeapFree},
		{Name: runtimeTotal},
		{Name: runtimeReleased},
		{Name: runtimeLimit},
		{Name: runtimeCycles},
		{Name: runtimeGoroutines},
		{Name: runtimeCollecting},
	}
	runtimemetrics.Read(samples)
	values := make(map[string]float64, len(samples))
	for _, s := range samples {
		switch s.Value.Kind() {
		case runtimemetrics.KindUint64:
			values[s.Name] = float64(s.Value.Uint64())
		case runtimemetrics.KindFloat64:
			values[s.Name] = s.Value.Float64()
		default: // a runtime that no longer has the figure
		}
	}
	return values
}

// processorTime is what the process has used of all processors since it began.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
