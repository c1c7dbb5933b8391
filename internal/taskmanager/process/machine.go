// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"
	"time"

	"github.com/weir-stream/weir/internal/metrics"
)

// machine measures this process and knows what it runs on.
type machine struct {
	host        string
	memoryBytes int64
	process     metrics.Process
}

func newMachine() *machine {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &machine{host: host, memoryBytes: metrics.MachineMemoryBytes()}
}

// metrics are gauges by Flink's names: those of any process, and those of a TaskManager's pools of memory, which Flink's
// clients ask for and Weir has none of.
func (m *machine) metrics(now time.Time) map[string]float64 {
	values := m.process.Read(now)
	for _, name := range []string{
		"Status.Flink.Memory.Managed.Used", "Status.Flink.Memory.Managed.Total",
		"Status.Shuffle.Netty.AvailableMemorySegments", "Status.Shuffle.Netty.AvailableMemory",
		"Status.Shuffle.Netty.UsedMemorySegments", "Status.Shuffle.Netty.UsedMemory",
		"Status.Shuffle.Netty.TotalMemorySegments", "Status.Shuffle.Netty.TotalMemory",
		"Status.Shuffle.Netty.RequestedMemoryUsage",
	} {
		values[name] = 0
	}
	return values
}
