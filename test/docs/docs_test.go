// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"strings"
	"testing"
)

// TestPageShowsThisCode looks for each block of code of the page, line by line, in the file that compiles.
func TestPageShowsThisCode(t *testing.T) {
	page, err := os.ReadFile("../../docs/connectors.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("connectors.go")
	if err != nil {
		t.Fatal(err)
	}
	compiled := normal(string(code))
	blocks := strings.Split(string(page), "```go\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("the page shows no code")
	}
	for _, b := range blocks {
		block, _, _ := strings.Cut(b, "```")
		for part := range strings.SplitSeq(strings.TrimSpace(block), "\n\n") {
			if !strings.Contains(compiled, normal(part)) {
				t.Errorf("docs/connectors.md shows code that connectors.go does not have:\n%s", part)
			}
		}
	}
}

// normal puts one blank between words, and makes lines of what is left.
func normal(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		if words := strings.Fields(line); len(words) > 0 {
			lines = append(lines, strings.Join(words, " "))
		}
	}
	return strings.Join(lines, "\n")
}
