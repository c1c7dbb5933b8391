// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-stream/weir/test/flightstest"
)

// moment waits for a time to kill a process at; it reports false if the process has ended before.
type moment func(r *rand.Rand, p *process, dir string) bool

// Moments of a life.
var (
	// anytime is any, also before the job has begun.
	anytime moment = func(r *rand.Rand, p *process, _ string) bool {
		return p.sleep(time.Duration(r.IntN(400)) * time.Millisecond)
	}
	// restoring is soon after the run was taken over: tasks are restored, or not yet, and commits are repeated.
	restoring moment = func(r *rand.Rand, p *process, dir string) bool {
		before := len(records(dir, "epoch/*"))
		newest := newestOf(records(dir, "epoch/*"))
		return p.poll(func() bool {
			now := records(dir, "epoch/*")
			return len(now) > before || newestOf(now) != newest
		}) && p.sleep(time.Duration(r.IntN(30))*time.Millisecond)
	}
	// committing is when a checkpoint of this life has just been decided: its files are being renamed.
	committing moment = func(r *rand.Rand, p *process, dir string) bool {
		newest := newestOf(completed(dir))
		return p.poll(func() bool { return newestOf(completed(dir)) != newest }) &&
			p.sleep(time.Duration(r.IntN(3))*time.Millisecond)
	}
)

// moments are all of them.
var moments = []struct {
	name string
	at   moment
}{{"anytime", anytime}, {"committing", committing}, {"restoring", restoring}}

// newestOf is the last of names, which are sorted.
func newestOf(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1]
}

// sleep lets time pass, unless the process ends.
func (p *process) sleep(d time.Duration) bool {
	select {
	case <-p.done:
		return false
	case <-time.After(d):
		return true
	}
}

// lives is a job that is killed again and again.
type lives struct {
	program, dir string
	args         []string
	random       *rand.Rand
	// killed are the kills by name of their moment; late is how many came behind the first completed checkpoint.
	killed map[string]int
	late   int
}

// live runs the job until a moment, or its end; it reports whether it was killed.
func (l *lives) live(t *testing.T, name string, at moment) bool {
	t.Helper()
	args := l.args
	if len(records(l.dir, "run")) > 0 {
		args = append(slices.Clip(args), "--restore", "latest")
	}
	p := begin(t, l.program, l.dir, args...)
	if !at(l.random, p, l.dir) {
		p.wants(t, 0)
		return false
	}
	marks := len(completed(l.dir))
	p.signal(t, os.Kill)
	<-p.done
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		p.wants(t, 0) // it ended just before
		return false
	}
	if out := p.out.String(); strings.Contains(out, "level=") {
		t.Errorf("a life that was killed complained:\n%s", out)
	}
	l.killed[name]++
	if marks > 0 {
		l.late++
	}
	return true
}

func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// TestFlightsKilled kills the process with signal 9, at random and in the middle of commits and restores, and goes on
// with --restore latest, at another parallelism in the end.
func TestFlightsKilled(t *testing.T) {
	t.Parallel()
	const each = 8
	l := &lives{
		program: flights(t), dir: t.TempDir(), random: seeded(t), killed: map[string]int{},
		args: []string{"--rate", "5000", "--checkpoint-interval", "40ms", "--parallelism", "2"},
	}
	want := flightstest.Reference(t, shipped)
	for total := 0; total < each*len(moments); {
		m := moments[total%len(moments)]
		if l.live(t, m.name, m.at) {
			total++
			continue
		}
		flightstest.Compare(t, filepath.Join(l.dir, "out"), want) // it came to its end: begin again, so that all kills hit a running job
		l.dir = t.TempDir()
		if t.Failed() {
			return
		}
	}
	l.args = []string{"--parallelism", "3"}
	l.live(t, "", func(_ *rand.Rand, p *process, _ string) bool { <-p.done; return false })
	flightstest.Compare(t, filepath.Join(l.dir, "out"), want)
	t.Logf("killed %v, %d of them behind a completed checkpoint", l.killed, l.late)
	if l.late < each {
		t.Errorf("only %d kills came behind a completed checkpoint", l.late)
	}
}

// TestFlightsTenMonths runs on ten times the data, made by shifting the month that is shipped, and kills it too.
func TestFlightsTenMonths(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	months(t, data, 10)
	want := flightstest.Reference(t, data)
	l := &lives{
		program: flights(t), dir: t.TempDir(), random: seeded(t), killed: map[string]int{},
		args: []string{"--in", data, "--parallelism", "2", "--checkpoint-interval", "50ms", "--rate", "100000"},
	}
	for i := range 6 {
		m := moments[i%len(moments)]
		if !l.live(t, m.name, m.at) {
			flightstest.Compare(t, filepath.Join(l.dir, "out"), want)
			l.dir = t.TempDir()
		}
	}
	l.args = []string{"--in", data}
	l.live(t, "", func(_ *rand.Rand, p *process, _ string) bool { <-p.done; return false })
	flightstest.Compare(t, filepath.Join(l.dir, "out"), want)
	t.Logf("killed %v, %d of them behind a completed checkpoint", l.killed, l.late)
}
