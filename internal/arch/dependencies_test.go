// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package arch

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestDependenciesAreExplained compares go.mod with docs/dependencies.md: each module that is required directly has a
// row, and each row of the first two tables stands for a module that is required.
func TestDependenciesAreExplained(t *testing.T) {
	mod, err := os.ReadFile(path.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(path.Join(root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	report(t, checkDependencies(string(mod), string(page)))
}

var (
	requirePattern = regexp.MustCompile(`(?m)^(?:require )?\s*(\S+\.\S+/\S+) v\S+( // indirect)?$`)
	rowPattern     = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
)

func checkDependencies(mod, page string) []string {
	var breaches []string
	page, _, _ = strings.Cut(page, "\n## Tools\n")
	rows := map[string]bool{}
	for _, m := range rowPattern.FindAllStringSubmatch(page, -1) {
		rows[m[1]] = true
	}
	required := map[string]bool{}
	for _, m := range requirePattern.FindAllStringSubmatch(mod, -1) {
		required[m[1]] = true
		if indirect := m[2] != ""; !indirect && !rows[m[1]] {
			breaches = append(breaches, m[1]+": has no row in docs/dependencies.md")
		}
	}
	for row := range rows {
		if !required[row] {
			breaches = append(breaches, row+": has a row in docs/dependencies.md, but go.mod does not require it")
		}
	}
	return breaches
}

func TestDependenciesCatch(t *testing.T) {
	const page = "| Module |\n|---|\n| `a.org/b` | MIT |\n\n## Tools\n\n| `tool.org/t` | MIT |\n"
	tests := []struct{ name, mod, breach string }{
		{"as it should be", "require (\n\ta.org/b v1.0.0\n\tc.org/d v1.0.0 // indirect\n)\n", ""},
		{"alone", "require a.org/b v1.0.0\n", ""},
		{"no row", "require (\n\ta.org/b v1.0.0\n\tc.org/d v1.0.0\n)\n", "c.org/d: has no row"},
		{"no requirement", "go 1.27\n", "a.org/b: has a row"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { expect(t, checkDependencies(tt.mod, page), tt.breach) })
	}
}
