// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const shipped = "../../examples/flights/data"

// flights builds the example once for all tests of this package.
func flights(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "flights")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", name, "../../examples/flights")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return name
}

// run runs the program to its end in a directory of its own.
func run(t *testing.T, program, dir string, args ...string) (output string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestFlights(t *testing.T) {
	program := flights(t)
	want := reference(t, shipped)
	for _, parallelism := range []string{"1", "2", "5"} {
		t.Run("parallelism "+parallelism, func(t *testing.T) {
			dir := t.TempDir()
			out, err := run(t, program, dir, "--parallelism", parallelism)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			compare(t, filepath.Join(dir, "out"), want)
			for _, part := range []string{"FINISHED", "26,800", "hourly", "worst", "late dropped"} {
				if !strings.Contains(out, part) {
					t.Errorf("the summary lacks %q:\n%s", part, out)
				}
			}
			if strings.Contains(out, "\x1b") || strings.Contains(out, "\r") {
				t.Errorf("control characters in output that is no terminal:\n%q", out)
			}
		})
	}
}

func TestFlightsRefusesResultsOfAnotherRun(t *testing.T) {
	program := flights(t)
	dir := t.TempDir()
	if out, err := run(t, program, dir); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := run(t, program, dir)
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		t.Fatalf("a second run into the same directory: %v\n%s", err, out)
	}
	for _, part := range []string{"--restore latest", "--overwrite", filepath.Join("out", "hourly")} {
		if !strings.Contains(out, part) {
			t.Errorf("the refusal lacks %q:\n%s", part, out)
		}
	}
	if out, err := run(t, program, dir, "--restore", "latest"); err != nil || !strings.Contains(out, "FINISHED") {
		t.Errorf("restore of a run that has ended: %v\n%s", err, out)
	}
	compare(t, filepath.Join(dir, "out"), reference(t, shipped))
	if out, err := run(t, program, dir, "--overwrite"); err != nil {
		t.Fatalf("--overwrite: %v\n%s", err, out)
	}
	compare(t, filepath.Join(dir, "out"), reference(t, shipped))
}

// TestFlightsKilled kills the process with signal 9 at random moments, and goes on with --restore latest.
func TestFlightsKilled(t *testing.T) {
	const kills = 20
	program := flights(t)
	dir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	args := []string{"--rate", "6000", "--checkpoint-interval", "60ms", "--parallelism", "2"}
	killed := 0
	for life := 0; killed < kills; life++ {
		if life == 10*kills {
			t.Fatalf("%d lives, killed in %d only", life, killed)
		}
		if killAfter(t, program, dir, time.Duration(random.IntN(350))*time.Millisecond, args) {
			killed++
		} else if killed < kills { // it ended before: begin again, so that all kills hit a running job
			compare(t, filepath.Join(dir, "out"), reference(t, shipped))
			dir = t.TempDir()
			args = args[:6]
			continue
		}
		args = append(args[:6:6], "--restore", "latest")
	}
	out, err := run(t, program, dir, "--parallelism", "3", "--restore", "latest")
	if err != nil {
		t.Fatalf("the last life: %v\n%s", err, out)
	}
	compare(t, filepath.Join(dir, "out"), reference(t, shipped))
}

// killAfter starts the program and kills it; it reports false if the program had ended by itself.
func killAfter(t *testing.T, program, dir string, after time.Duration, args []string) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }() // Owner: this function, which receives from done
	select {
	case <-time.After(after):
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		err := <-done
		return err != nil
	case err := <-done:
		if err != nil {
			t.Fatalf("the program failed by itself: %v\n%s", err, out.String())
		}
		return false
	}
}

// TestFlightsTenMonths runs on ten times the data, made by shifting the month that is shipped.
func TestFlightsTenMonths(t *testing.T) {
	program := flights(t)
	data, dir := t.TempDir(), t.TempDir()
	months(t, data, 10)
	if out, err := run(t, program, dir, "--in", data, "--parallelism", "2", "--checkpoint-interval", "200ms"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	compare(t, filepath.Join(dir, "out"), reference(t, data))
}

// months writes n files of each kind: the shipped month, shifted by 31 days each, with other delays and carriers.
func months(t *testing.T, dir string, n int) {
	t.Helper()
	for i := range n {
		shift := time.Duration(i) * 31 * 24 * time.Hour
		writeCSV(t, filepath.Join(dir, fmt.Sprintf("flights-%03d.csv.gz", i)), filepath.Join(shipped, "flights-2013-01.csv.gz"),
			func(column, value string) string {
				switch {
				case column == "reported" || column == "scheduled":
					return parseTime(t, value).Add(shift).Format(time.RFC3339)
				case column == "carrier" && value == "UA" && i%2 == 1:
					return "ZZ" // a code without a name
				default:
					return value
				}
			})
		writeCSV(t, filepath.Join(dir, fmt.Sprintf("weather-%03d.csv", i)), filepath.Join(shipped, "weather-2013-01.csv"),
			func(column, value string) string {
				if column == "observed" {
					return parseTime(t, value).Add(shift + time.Duration(i)*time.Minute).Format(time.RFC3339)
				}
				return value
			})
	}
	names, err := os.ReadFile(filepath.Join(shipped, "airlines.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "airlines.csv"), names, 0o644); err != nil {
		t.Fatal(err)
	}
}

// writeCSV copies a file, with each value changed.
func writeCSV(t *testing.T, to, from string, change func(column, value string) string) {
	t.Helper()
	rows := readRecords(t, from)
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	for i, row := range rows {
		if i > 0 {
			for c := range row {
				row[c] = change(rows[0][c], row[c])
			}
		}
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	data := b.Bytes()
	if strings.HasSuffix(to, ".gz") {
		var z bytes.Buffer
		g := gzip.NewWriter(&z)
		if _, err := g.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		data = z.Bytes()
	}
	if err := os.WriteFile(to, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// compare reads all committed files and compares their rows, as multisets, with what is expected.
func compare(t *testing.T, out string, want expected) {
	t.Helper()
	for _, table := range []struct {
		dir, header string
		want        []string
	}{
		{"hourly", "hour,origin,flights,cancelled,late,mean_delay_min,wind_mph,precip_in,visibility_mi", want.hourly},
		{"worst", "day,rank,carrier,departures,mean_delay_min", want.worst},
	} {
		got := committed(t, filepath.Join(out, table.dir), table.header)
		slices.Sort(got)
		if slices.Equal(got, table.want) {
			continue
		}
		missing, extra := difference(table.want, got)
		t.Errorf("%s has %d rows, want %d; missing %d: %.5q; too many %d: %.5q",
			table.dir, len(got), len(table.want), len(missing), missing, len(extra), extra)
	}
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
