// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun measures for a moment: every window of every key that counts is a sample.
func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "figures.json")
	var out bytes.Buffer
	err := run(t.Context(), []string{
		"--rates", "20000", "--duration", "400ms", "--warm-up", "50ms", "--window", "100ms", "--slide", "50ms", "--keys", "10",
		"--checkpoint-interval", "100ms", "--json", file,
	}, &out)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []figures
	if err := json.Unmarshal(text, &all); err != nil || len(all) != 2 {
		t.Fatalf("%s: %v", text, err)
	}
	// Windows are aligned to the clock, so between 50 and 400 ms 6 or 7 end.
	if job := all[1]; job.Name != "20000" || job.Samples < 60 || job.Samples > 70 || job.Samples%10 != 0 || job.P50 <= 0 {
		t.Errorf("figures %+v of\n%s", job, out.String())
	}
	if control := all[0]; control.Samples == 0 {
		t.Errorf("control %+v", control)
	}
}

func TestWrongFlags(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"--rates 0", "--rates"},
		{"--rates 1,x", `"x"`},
		{"--keys 0", "--keys"},
		{"--duration 5s", "--duration"},
		{"all", `"all" is no flag`},
	} {
		if _, err := parseOptions(strings.Fields(tt.args)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.args, err, tt.want)
		}
	}
}
