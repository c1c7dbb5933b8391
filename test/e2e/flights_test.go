// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const shipped = "../../examples/flights/data"

func TestFlights(t *testing.T) {
	t.Parallel()
	program := flights(t)
	want := reference(t, shipped)
	for _, parallelism := range []string{"1", "2", "5"} {
		t.Run("parallelism "+parallelism, func(t *testing.T) {
			dir := t.TempDir()
			p := begin(t, program, dir, "--parallelism", parallelism)
			p.wants(t, 0, "FINISHED", "26,800", "hourly", "worst", "late dropped")
			compare(t, filepath.Join(dir, "out"), want)
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
	want := reference(t, shipped)
	for _, settings := range [][]string{
		{"-D", "taskmanager.count=3", "-D", "taskmanager.exchange=tcp"},
		{"-Dpipeline.operator-chaining.enabled=false", "-D", "taskmanager.count=2", "-D", "taskmanager.exchange=unix"},
	} {
		dir := t.TempDir()
		begin(t, program, dir, append(settings, "--parallelism", "3")...).wants(t, 0, "FINISHED")
		compare(t, filepath.Join(dir, "out"), want)
	}
}

func TestFlightsRefusesResultsOfAnotherRun(t *testing.T) {
	t.Parallel()
	program := flights(t)
	dir := t.TempDir()
	want := reference(t, shipped)
	begin(t, program, dir).wants(t, 0)
	begin(t, program, dir).wants(t, 1, "--restore latest", "--overwrite", filepath.Join("out", "hourly"))
	compare(t, filepath.Join(dir, "out"), want)
	begin(t, program, dir, "--restore", "latest").wants(t, 0, "has ended before: FINISHED")
	compare(t, filepath.Join(dir, "out"), want)
	begin(t, program, dir, "--overwrite").wants(t, 0)
	compare(t, filepath.Join(dir, "out"), want)
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
	compare(t, filepath.Join(dir, "out"), reference(t, shipped))
}

// table is one output of the job, and its rows as they should be.
type table struct {
	dir, header string
	want        []string
}

func (e expected) tables() []table {
	return []table{
		{"hourly", "hour,origin,flights,cancelled,late,mean_delay_min,wind_mph,precip_in,visibility_mi", e.hourly},
		{"worst", "day,rank,carrier,departures,mean_delay_min", e.worst},
	}
}

// compare reads all committed files and compares their rows, as multisets, with what is expected of a job that has
// finished: nothing else is left.
func compare(t *testing.T, out string, want expected) {
	t.Helper()
	for _, table := range want.tables() {
		table.compare(t, committed(t, filepath.Join(out, table.dir), table.header))
	}
	if left := uncommitted(t, out); len(left) > 0 {
		t.Errorf("left behind uncommitted: %v", left)
	}
}

func (table table) compare(t *testing.T, got []string) {
	t.Helper()
	slices.Sort(got)
	if slices.Equal(got, table.want) {
		return
	}
	missing, extra := difference(table.want, got)
	t.Errorf("%s has %d rows, want %d; missing %d: %.200q; too many %d: %.200q",
		table.dir, len(got), len(table.want), len(missing), missing, len(extra), extra)
}

// uncommitted lists the files of rows below a directory that are not committed.
func uncommitted(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*", ".part-*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// committed are the rows of all files whose names don't begin with a dot.
func committed(t *testing.T, dir, header string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		records := readRecords(t, filepath.Join(dir, e.Name()))
		if len(records) < 2 {
			t.Errorf("%s has no rows", e.Name())
			continue
		}
		if got := strings.Join(records[0], ","); got != header {
			t.Errorf("%s has the header %s, want %s", e.Name(), got, header)
		}
		for _, r := range records[1:] {
			rows = append(rows, strings.Join(r, "|"))
		}
	}
	return rows
}

// difference of two sorted multisets.
func difference(want, got []string) (missing, extra []string) {
	i, j := 0, 0
	for i < len(want) || j < len(got) {
		switch {
		case j == len(got) || i < len(want) && want[i] < got[j]:
			missing = append(missing, want[i])
			i++
		case i == len(want) || got[j] < want[i]:
			extra = append(extra, got[j])
			j++
		default:
			i++
			j++
		}
	}
	return missing, extra
}
