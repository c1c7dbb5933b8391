// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package arch

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const header = "// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0\n\n"

func TestLicenceHeader(t *testing.T) {
	report(t, checkHeader(loadRepository(t)))
}

// checkHeader returns the files that don't begin with the licence.
func checkHeader(sources []*source) []string {
	var breaches []string
	for _, s := range sources {
		if !strings.HasPrefix(string(s.text), header) {
			breaches = append(breaches, fmt.Sprintf("%s: must begin with %q and an empty line", s.path, header[:len(header)-2]))
		}
	}
	return breaches
}

// pure reports whether a folder is a pure core: what it decides depends on nothing but its arguments.
func pure(folder string) bool {
	return slices.Contains(strings.Split(folder, "/"), "core") ||
		slices.ContainsFunc([]string{
			"watermark", "window", "internal/watermerge", "internal/graph", "internal/keys",
			"internal/checkpoint/coordinator", "internal/task/alignment", "internal/task/splits",
		}, func(core string) bool { return within(folder, core) })
}

// impure are the packages, with all below them, that a pure core does without. The clock is no import: the linter's
// forbidigo watches over time.Now and the like.
var impure = []string{"os", "net", "sync", "syscall", "math/rand", "crypto/rand", "io/ioutil", "golang.org/x/sync"}

func TestPureCores(t *testing.T) {
	report(t, checkPure(loadRepository(t)))
}

// checkPure returns what pure cores touch that they must not.
func checkPure(sources []*source) []string {
	var breaches []string
	for _, s := range sources {
		if s.file == nil || s.isTest() || s.nested || !pure(s.folder()) {
			continue
		}
		for _, p := range s.imports() {
			if slices.ContainsFunc(impure, func(i string) bool { return within(p, i) }) {
				breaches = append(breaches, fmt.Sprintf("%s: a pure core may not import %s", s.path, p))
			}
		}
		for _, g := range goStatements(s.file) {
			breaches = append(breaches, fmt.Sprintf("%s:%d: a pure core starts no goroutine", s.path, s.line(g.Pos())))
		}
	}
	return breaches
}

const ownerMark = "// Owner: "

func TestGoroutinesHaveAnOwner(t *testing.T) {
	report(t, checkOwner(loadRepository(t)))
}

// checkOwner returns the go statements that don't say who waits for the goroutine. Those of a sync.WaitGroup or an
// errgroup.Group are calls of their method Go, so whoever waits is at hand; what is left says, on the line above or in
// the comment there, "Owner:" and the function that stops the goroutine and returns after its end.
func checkOwner(sources []*source) []string {
	var breaches []string
	for _, s := range sources {
		if s.file == nil || s.isTest() || s.generated {
			continue
		}
		marked := map[int]bool{} // lines on which a comment with the mark ends
		for _, group := range s.file.Comments {
			if slices.ContainsFunc(group.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, ownerMark) }) {
				marked[s.line(group.End())] = true
			}
		}
		for _, g := range goStatements(s.file) {
			if at := s.line(g.Pos()); !marked[at] && !marked[at-1] {
				breaches = append(breaches, fmt.Sprintf(
					"%s:%d: start it with Go of a WaitGroup or errgroup, or say %q who stops it and waits",
					s.path, at, ownerMark))
			}
		}
	}
	return breaches
}

func goStatements(file *ast.File) []*ast.GoStmt {
	var found []*ast.GoStmt
	ast.Inspect(file, func(n ast.Node) bool {
		if g, ok := n.(*ast.GoStmt); ok {
			found = append(found, g)
		}
		return true
	})
	return found
}

func TestRulesCatch(t *testing.T) {
	tests := []struct {
		name, file, text string
		check            func([]*source) []string
		breach           string
	}{
		{"header", "a.go", header + "package p\n", checkHeader, ""},
		{"header of a message", "a.proto", header + "syntax = \"proto3\";\n", checkHeader, ""},
		{"no header", "a.go", "package p\n", checkHeader, "a.go: must begin"},
		{"header as package comment", "a.go", header[:len(header)-1] + "package p\n", checkHeader, "a.go: must begin"},

		{"pure", "window/a.go", "package p\n\nimport \"time\"\n", checkPure, ""},
		{"not a core", "stream/a.go", "package p\n\nimport \"os\"\n", checkPure, ""},
		{"test of a core", "window/a_test.go", "package p\n\nimport \"os\"\n", checkPure, ""},
		{
			"lock", "internal/jobmanager/jobmaster/core/a.go", "package p\n\nimport \"sync\"\n", checkPure,
			"a pure core may not import sync",
		},
		{"random", "internal/graph/a.go", "package p\n\nimport \"math/rand/v2\"\n", checkPure, "math/rand/v2"},
		{"goroutine", "watermark/a.go", "package p\n\nfunc f() {\n\tgo f()\n}\n", checkPure, "watermark/a.go:4"},

		{"group", "a.go", "package p\n\nfunc f(wg group) {\n\twg.Go(f)\n}\n", checkOwner, ""},
		{"owner above", "a.go", "package p\n\nfunc f() {\n\t// Owner: Stop waits for done.\n\tgo f()\n}\n", checkOwner, ""},
		{
			"owner in a comment above", "a.go",
			"package p\n\nfunc f() {\n\t// It reads.\n\t// Owner: Stop waits\n\t// for done.\n\tgo f()\n}\n", checkOwner, "",
		},
		{"owner beside", "a.go", "package p\n\nfunc f() {\n\tgo f() // Owner: Stop waits for done.\n}\n", checkOwner, ""},
		{"test", "a_test.go", "package p\n\nfunc f() {\n\tgo f()\n}\n", checkOwner, ""},
		{"no owner", "a.go", "package p\n\nfunc f() {\n\tgo f()\n}\n", checkOwner, "a.go:4"},
		{"owner too far", "a.go", "package p\n\nfunc f() {\n\t// Owner: g.\n\n\tgo f()\n}\n", checkOwner, "a.go:6"},
		{
			"in a method of a generic type", "a.go",
			"package p\n\nfunc (s S[T]) M[U any]() {\n\tdefer func() { go f() }()\n}\n", checkOwner, "a.go:4",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, tt.check(parse(t, tt.file, tt.text)), tt.breach)
		})
	}
}

// parse loads a tree of one file.
func parse(t *testing.T, name, text string) []*source {
	t.Helper()
	sources, err := load(fstest.MapFS{name: {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) != 1 {
		t.Fatalf("loaded %d files, want 1", len(sources))
	}
	return sources
}

// expect wants no breach, or one that contains want.
func expect(t *testing.T, breaches []string, want string) {
	t.Helper()
	switch {
	case want == "" && len(breaches) > 0:
		t.Errorf("got %q, want none", breaches)
	case want != "" && (len(breaches) != 1 || !strings.Contains(breaches[0], want)):
		t.Errorf("got %q, want one with %q", breaches, want)
	}
}
