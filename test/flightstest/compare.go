// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package flightstest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Table is one output of the job, and its rows as they should be.
type Table struct {
	// Dir is its directory below that of the results.
	Dir    string
	header string
	want   []string
}

// Tables are all outputs.
func (e Expected) Tables() []Table {
	return []Table{
		{"hourly", "hour,origin,flights,cancelled,late,mean_delay_min,wind_mph,precip_in,visibility_mi", e.hourly},
		{"worst", "day,rank,carrier,departures,mean_delay_min", e.worst},
	}
}

// Compare reads all committed files and compares their rows, as multisets, with what is expected of a job that has
// finished: nothing else is left.
func Compare(t *testing.T, out string, want Expected) {
	t.Helper()
	for _, table := range want.Tables() {
		table.Compare(t, table.Committed(t, filepath.Join(out, table.Dir)))
	}
	if left := Uncommitted(t, out); len(left) > 0 {
		t.Errorf("left behind uncommitted: %v", left)
	}
}

// Compare compares rows with those that should be.
func (table Table) Compare(t *testing.T, got []string) {
	t.Helper()
	slices.Sort(got)
	if slices.Equal(got, table.want) {
		return
	}
	missing, extra := difference(table.want, got)
	t.Errorf("%s has %d rows, want %d; missing %d: %.200q; too many %d: %.200q",
		table.Dir, len(got), len(table.want), len(missing), missing, len(extra), extra)
}

// Uncommitted lists the files of rows below a directory that are not committed.
func Uncommitted(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*", ".part-*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Committed are the rows of all files in a directory whose names don't begin with a dot.
func (table Table) Committed(t *testing.T, dir string) []string {
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
		records := ReadRecords(t, filepath.Join(dir, e.Name()))
		if len(records) < 2 {
			t.Errorf("%s has no rows", e.Name())
			continue
		}
		if got := strings.Join(records[0], ","); got != table.header {
			t.Errorf("%s has the header %s, want %s", e.Name(), got, table.header)
		}
		for _, r := range records[1:] {
			rows = append(rows, strings.Join(r, "|"))
		}
	}
	return rows
}

// difference is that of two sorted multisets.
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
