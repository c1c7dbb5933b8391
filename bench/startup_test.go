// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/bench/program"
	"github.com/weir-stream/weir/stream"
)

// idleVariable makes the program of the tests a job program, which is idle for the time that it has for a value.
const idleVariable = "WEIR_BENCH_IDLE"

// figures are what a job program reports of itself.
type figures struct {
	// First is the time from main to the first record at the sink.
	First time.Duration
	// CPU is what the process used in Idle, the time behind that in which no record came.
	CPU, Idle time.Duration
	// Resident is its memory after that, in bytes; zero where the system does not tell.
	Resident int64
}

func TestMain(m *testing.M) {
	if idle := os.Getenv(idleVariable); idle != "" {
		if err := play(time.Now(), idle); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// play is the main of a job program, which began at a time.
func play(began time.Time, idle string) error {
	var f figures
	var err error
	if f.Idle, err = time.ParseDuration(idle); err != nil {
		return err
	}
	in, out := newFeed(fillBid), newTally(extra)
	out.wanted.Store(1)
	in.release(1)
	h, err := weir.Run(context.Background(), "start", func(env *stream.Env) error {
		describeChain(env, in, out)
		return nil
	}, weir.Options{})
	if err != nil {
		return err
	}
	<-out.done
	f.First = time.Since(began)
	var from, to syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &from); err != nil {
		return err
	}
	timer := time.NewTimer(f.Idle)
	<-timer.C
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &to); err != nil {
		return err
	}
	f.CPU = time.Duration(to.Utime.Nano() + to.Stime.Nano() - from.Utime.Nano() - from.Stime.Nano())
	f.Resident = program.ResidentBytes()
	if err := h.Cancel(context.Background()); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}

// BenchmarkStart runs a job program: the time from main to the first record, then what it uses while it
// is idle for a second.
func BenchmarkStart(b *testing.B) {
	var runs []figures
	for b.Loop() {
		c := exec.CommandContext(b.Context(), os.Args[0])
		c.Env = append(os.Environ(), idleVariable+"=1s")
		c.Stderr = os.Stderr
		data, err := c.Output()
		if err != nil {
			b.Fatal(err)
		}
		var f figures
		if err := json.Unmarshal(data, &f); err != nil {
			b.Fatal(err)
		}
		runs = append(runs, f)
	}
	median := func(of func(figures) float64) float64 {
		values := make([]float64, len(runs))
		for i, f := range runs {
			values[i] = of(f)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(func(f figures) float64 { return f.First.Seconds() * 1000 }), "first-ms")
	b.ReportMetric(median(func(f figures) float64 { return 100 * f.CPU.Seconds() / f.Idle.Seconds() }), "idle-cpu-%")
	b.ReportMetric(median(func(f figures) float64 { return float64(f.Resident) / 1e6 }), "resident-MB")
}
