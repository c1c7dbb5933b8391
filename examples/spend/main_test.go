// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/streamtest"
)

func TestSpend(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	out := streamtest.Collect[Spend]("out")
	streamtest.Run(t, build, out, streamtest.Parallelism(2), streamtest.Kill("spend", 1),
		streamtest.Source("orders",
			Order{"ann", 2, noon}, Order{"ann", 1, noon.Add(-time.Second)}, Order{"bob", 5, noon.Add(time.Minute)},
			Order{"ann", 3, noon.Add(59 * time.Minute)}, Order{"bob", 1, noon.Add(time.Hour)}))
	want := []Spend{
		{"ann", noon.Add(-time.Hour), 1}, {"ann", noon, 5}, {"bob", noon, 5}, {"bob", noon.Add(time.Hour), 1},
	}
	if got := out.Rows(); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// TestREADME compares the job of the README with this one, which compiles and runs.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, ok := strings.Cut(string(program), "package main\n")
	if !ok || !strings.Contains(string(readme), "```go\npackage main\n"+code+"```\n") {
		t.Error("README.md shows another program than examples/spend/main.go")
	}
}
