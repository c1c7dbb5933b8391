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

func TestVisits(t *testing.T) {
	t0 := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	want := []Visit{{"ann", 2, 2, t0}, {"bob", 1, 1, t0}}

	// README: test.
	h := streamtest.New(t, visitsOf)
	h.Push(t0, Click{"ann", "/", t0}, Click{"bob", "/a", t0})
	h.Restart(3) // snapshot, and restore in three subtasks
	h.Push(t0.Add(time.Minute), Click{"ann", "/b", t0.Add(time.Minute)})
	h.Watermark(t0.Add(time.Hour))
	got := h.Take()
	// README: end.

	slices.SortFunc(got, func(a, b Visit) int { return strings.Compare(a.User, b.User) })
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	h.Push(t0.Add(2*time.Hour), Click{"ann", "/", t0.Add(2 * time.Hour)})
	h.End()
	if got := h.Take(); len(got) != 1 || got[0].Clicks != 1 {
		t.Errorf("the next visit of ann: %v", got)
	}
}

// TestREADME compares what the README shows with this program and its test.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for file, mark := range map[string]string{"main.go": "// README: state.\n", "main_test.go": "\t// README: test.\n"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, code, _ := strings.Cut(string(text), mark)
		code, _, ok := strings.Cut(code, "// README: end.\n")
		code = strings.TrimSpace(strings.ReplaceAll(code, "\n\t", "\n"))
		if !ok || !strings.Contains(strings.ReplaceAll(string(readme), "\n\t", "\n"), "```go\n"+code+"\n```\n") {
			t.Errorf("README.md shows other code than %s", file)
		}
	}
}
