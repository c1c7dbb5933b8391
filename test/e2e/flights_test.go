// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-stream/weir/test/flightstest"
)

const shipped = "../../examples/flights/data"

func TestFlights(t *testing.T) {
	t.Parallel()
	program := flights(t)
	want := flightstest.Reference(t, shipped)
	for _, parallelism := range []string{"1", "2", "5"} {
		t.Run("parallelism "+parallelism, func(t *testing.T) {
			dir := t.TempDir()
			p := begin(t, program, dir, "--parallelism", parallelism)
			p.wants(t, 0, "FINISHED", "26,800", "hourly", "worst", "late dropped")
			flightstest.Compare(t, filepath.Join(dir, "out"), want)
			if out := p.out.String(); strings.Contains(out, "\x1b") || strings.Contains(out, "\r") {
				t.Errorf("control characters in output that is no terminal:\n%q", out)
			}
		})
	}
}

// TestFlightsInOtherClusters runs the job over several TaskManagers and over sockets, and without chaining.
func TestFlightsInOtherClusters(t *testing.T) {
	t.Parallel()
	program := flights(t)
	want := flightstest.Reference(t, shipped)
	for _, settings := range [][]string{
		{"-D", "taskmanager.count=3", "-D", "taskmanager.exchange=tcp"},
		{"-Dpipeline.operator-chaining.enabled=false", "-D", "taskmanager.count=2", "-D", "taskmanager.exchange=unix"},
	} {
		dir := t.TempDir()
		begin(t, program, dir, append(settings, "--parallelism", "3")...).wants(t, 0, "FINISHED")
		flightstest.Compare(t, filepath.Join(dir, "out"), want)
	}
}

func TestFlightsRefusesResultsOfAnotherRun(t *testing.T) {
	t.Parallel()
	program := flights(t)
	dir := t.TempDir()
	want := flightstest.Reference(t, shipped)
	begin(t, program, dir).wants(t, 0)
	begin(t, program, dir).wants(t, 1, "--restore latest", "--overwrite", filepath.Join("out", "hourly"))
	flightstest.Compare(t, filepath.Join(dir, "out"), want)
	begin(t, program, dir, "--restore", "latest").wants(t, 0, "has ended before: FINISHED")
	flightstest.Compare(t, filepath.Join(dir, "out"), want)
	begin(t, program, dir, "--overwrite").wants(t, 0)
	flightstest.Compare(t, filepath.Join(dir, "out"), want)
}

// TestProgressWithoutTerminal watches a job that takes longer than the time between two lines.
func TestProgressWithoutTerminal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := begin(t, flights(t), dir, "--rate", "2400", "--checkpoint-interval", "1s")
	p.wants(t, 0, "FINISHED in 1")
	var lines []string
	for line := range strings.Lines(p.out.String()) {
		if strings.HasPrefix(line, "RUNNING") {
			lines = append(lines, line)
		}
	}
	if len(lines) != 1 {
		t.Fatalf("%d lines of progress in 11 s, want one:\n%s", len(lines), p.out)
	}
	for _, part := range []string{"RUNNING  00:10  in 2", " (2.", "k/s)  out 1,", "watermark 2013-01-2", "(lag 1", "y)  checkpoint ", "took"} {
		if !strings.Contains(lines[0], part) {
			t.Errorf("the line lacks %q: %s", part, lines[0])
		}
	}
	flightstest.Compare(t, filepath.Join(dir, "out"), flightstest.Reference(t, shipped))
}
