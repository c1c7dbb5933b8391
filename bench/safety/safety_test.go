// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRun runs all variants for a moment.
func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "figures.json")
	var out strings.Builder
	args := []string{"--rounds", "1", "--duration", "20ms", "--way-duration", "10ms", "--singles", "0", "--keys", "1000", "--json", file}
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all report
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if want := len(checkpointVariants(1000)) + len(wayVariants()); len(all.Runs) != want {
		t.Errorf("%d variants, want %d", len(all.Runs), want)
	}
	for _, f := range all.Runs {
		if !strings.Contains(out.String(), f.Name) || f.PerSecond < 0 {
			t.Errorf("%+v is not in\n%s", f, &out)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, args := range []string{"--only some", "x", "--rounds -1", "--keys 1", "--duration 0s"} {
		if _, err := parseOptions(strings.Fields(args)); err == nil {
			t.Errorf("%s passes", args)
		}
	}
	o, err := parseOptions([]string{"--only", "ways"})
	if err != nil || o.checkpoints || !o.ways {
		t.Errorf("%+v: %v", o, err)
	}
}

// TestTouches looks at which rows are made, and which are changed afterwards.
func TestTouches(t *testing.T) {
	const keys, dirty = 1000, 50
	f := touches(keys, dirty)
	hit := map[int64]bool{}
	for i := range int64(10 * keys) {
		var r Touch
		f(i, &r)
		switch {
		case i < keys && r.Key != i:
			t.Fatalf("record %d is of key %d", i, r.Key)
		case i >= keys && r.Key >= dirty:
			t.Fatalf("record %d changes row %d", i, r.Key)
		case i >= keys:
			hit[r.Key] = true
		}
	}
	if len(hit) != dirty {
		t.Errorf("%d rows are changed, want %d", len(hit), dirty)
	}
}

// TestExtra takes a checkpoint of 30 ms out of a slice that had half the records of the other.
func TestExtra(t *testing.T) {
	quiet := slice{cpu: time.Second, rows: 1000}
	if d := (slice{cpu: 530 * time.Millisecond, rows: 500}).extra(quiet); d != 30*time.Millisecond {
		t.Errorf("%v", d)
	}
	if d := (slice{cpu: time.Second, rows: 500}).extra(slice{}); d != 0 {
		t.Errorf("%v where nothing came", d)
	}
	if p := (single{Milliseconds: 600}).share(10*time.Second, 2); p != 3 {
		t.Errorf("%v %%", p)
	}
}

func TestFiguresOf(t *testing.T) {
	base := []sample{{100, 10, 0}, {100, 20, 0}, {100, 40, 0}}
	f := figuresOf("x", []sample{{50, 11, 1}, {70, 20, 2}, {60, 50, 1}}, base)
	if f.PerSecond != 60 || f.Nanos != 20 || f.More < 0.099 || f.More > 0.101 || f.Least != 0 || f.Most != 0.25 || f.Checkpoints != 4 {
		t.Errorf("%+v", f)
	}
	if m := median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Errorf("median %v", m)
	}
}
