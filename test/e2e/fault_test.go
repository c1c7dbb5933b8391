// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-stream/weir/test/flightstest"
)

func TestWrongArguments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--bogus"}, "unknown flag --bogus"},
		{[]string{"--rate", "fast"}, "--rate=fast: not a float64"},
		{[]string{"-D", "paralelism.default=3"}, "did you mean parallelism.default?"},
		{[]string{"-D", "parallelism.default=none"}, "want a number from 1"},
		{[]string{"--restore"}, "--restore needs a value"},
		{[]string{"flights"}, "want --name=value"},
	} {
		dir := t.TempDir()
		begin(t, flights(t), dir, tt.args...).wants(t, 2, tt.want)
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%v left %v behind, %v", tt.args, left, err)
		}
	}
	begin(t, flights(t), t.TempDir(), "--help", "--bogus").wants(t, 0,
		"--in STRING", "--rate FLOAT64", "--checkpoint-dir DIR", "--restore PATH", "--allow-non-restored-state",
		"execution.checkpointing.interval", "Exit codes:", "flights --restore latest")
}

// input copies the shipped month, with one value of one line of the departures changed.
func input(t *testing.T, line int, column, bad string) string {
	t.Helper()
	dir := t.TempDir()
	n := 1
	writeCSV(t, filepath.Join(dir, "flights-1.csv.gz"), filepath.Join(shipped, "flights-2013-01.csv.gz"),
		func(c, value string) string {
			if c == "reported" {
				n++ // it is the first column
			}
			if n == line && c == column {
				return bad
			}
			return value
		})
	for _, name := range []string{"weather-2013-01.csv", "airlines.csv"} {
		b, err := os.ReadFile(filepath.Join(shipped, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestMalformedInput fails a job in the end, names the place, and lets a new run go on when that has been mended.
func TestMalformedInput(t *testing.T) {
	t.Parallel()
	in, dir := input(t, 20_000, "dep_delay_min", "soon"), t.TempDir()
	p := begin(t, flights(t), dir, "--in", in, "--rate", "30000", "--checkpoint-interval", "30ms")
	p.wants(t, 1, filepath.Join(in, "flights-1.csv.gz")+", line 20000, field dep_delay_min: malformed record", "soon",
		"FAILED in ", "to begin a new run from its last checkpoint: ")
	begin(t, flights(t), dir, "--in", in, "--restore", "latest").wants(t, 1, "has ended before: FAILED", "line 20000")

	mended := input(t, 0, "", "")
	for _, name := range []string{"flights-1.csv.gz", "weather-2013-01.csv"} {
		if err := os.Rename(filepath.Join(mended, name), filepath.Join(in, name)); err != nil {
			t.Fatal(err)
		}
	}
	run := filepath.Dir(newestOf(records(dir, "run")))
	begin(t, flights(t), dir, "--in", in, "--restore", run).wants(t, 0, "FINISHED")
	flightstest.Compare(t, filepath.Join(dir, "out"), flightstest.Reference(t, shipped))
}

func TestUnreadableInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	begin(t, flights(t), dir, "--in", "nothing").wants(t, 1, "no file matches", filepath.Join(dir, "nothing", "flights-*.csv.gz"))

	truncated := input(t, 0, "", "")
	name := filepath.Join(truncated, "flights-1.csv.gz")
	if err := os.Truncate(name, 200_000); err != nil {
		t.Fatal(err)
	}
	begin(t, flights(t), t.TempDir(), "--in", truncated).wants(t, 1, name, "unexpected EOF")
}

// TestUnwritableDirectories are found before anything has happened: the next run isn't in the way of them.
func TestUnwritableDirectories(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	begin(t, flights(t), dir, "--checkpoint-dir", "file/below").wants(t, 1, filepath.Join(file, "below"), "not a directory")
	begin(t, flights(t), dir, "--out", "file").wants(t, 1, filepath.Join(file, "hourly"), "not a directory")
	begin(t, flights(t), dir).wants(t, 0, "FINISHED")
	flightstest.Compare(t, filepath.Join(dir, "out"), flightstest.Reference(t, shipped))
}
