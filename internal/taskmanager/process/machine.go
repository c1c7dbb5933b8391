// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"syscall"
	"time"
)

// machine measures this process and knows what it runs on. It belongs to the TaskManager's goroutine.
type machine struct {
	host        string
	memoryBytes int64
	// at and cpu are those of the last measurement, gc the seconds of collection then.
	at  time.Time
	cpu time.Duration
	gc  float64
}

func newMachine(now time.Time) *machine {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &machine{host: host, memoryBytes: machineMemoryBytes(), at: now, cpu: processCPU()}
}

// processCPU is the processor time that this process has taken.
func processCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// metrics are gauges by Flink's names, with what comes nearest in a process that has no JVM: its heap is Go's, the rest of
// its memory is not heap, and what there is none of is 0, or -1 where that means no limit.
func (m *machine) metrics(now time.Time) map[string]float64 {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/cpu/classes/gc/total:cpu-seconds"},
	}
	metrics.Read(samples)
	value := func(i int) float64 {
		if samples[i].Value.Kind() == metrics.KindFloat64 {
			return samples[i].Value.Float64()
		}
		return float64(samples[i].Value.Uint64())
	}
	used := value(0)
	committed := used + value(3) + value(4)
	outside := max(0, value(2)-value(1)-committed)
	cpu, gc := processCPU(), value(6)
	load, collecting := 0.0, 0.0
	if wall := now.Sub(m.at).Seconds(); wall > 0 {
		load = min(1, (cpu-m.cpu).Seconds()/wall/float64(runtime.NumCPU()))
		collecting = (gc - m.gc) * 1000 / wall
	}
	m.at, m.cpu, m.gc = now, cpu, gc
	values := map[string]float64{
		"Status.JVM.CPU.Load": load, "Status.JVM.CPU.Time": float64(cpu.Nanoseconds()),
		"Status.JVM.Memory.Heap.Used": used, "Status.JVM.Memory.Heap.Committed": committed,
		"Status.JVM.Memory.Heap.Max": -1, "Status.JVM.Memory.NonHeap.Used": outside,
		"Status.JVM.Memory.NonHeap.Committed": outside, "Status.JVM.Memory.NonHeap.Max": -1,
		"Status.JVM.Threads.Count":                        float64(pprof.Lookup("threadcreate").Count()),
		"Status.JVM.GarbageCollector.All.Count":           value(5),
		"Status.JVM.GarbageCollector.All.Time":            gc * 1000,
		"Status.JVM.GarbageCollector.All.TimeMsPerSecond": collecting,
		"Status.JVM.ClassLoader.ClassesLoaded":            0, "Status.JVM.ClassLoader.ClassesUnloaded": 0,
	}
	for _, pool := range [...]string{"Direct", "Mapped"} {
		for _, of := range [...]string{"Count", "MemoryUsed", "TotalCapacity"} {
			values[fmt.Sprintf("Status.JVM.Memory.%s.%s", pool, of)] = 0
		}
	}
	for _, of := range [...]string{"Used", "Committed", "Max"} {
		values["Status.JVM.Memory.Metaspace."+of] = 0
	}
	return values
}
