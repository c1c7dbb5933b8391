// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package arch

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestPagesAreFound follows the links of all pages, and finds each page of docs in its index and each folder in the file
// map.
func TestPagesAreFound(t *testing.T) {
	report(t, checkPages(t, os.DirFS(root)))
}

var (
	linkPattern = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	codePattern = regexp.MustCompile("(?s)```.*?```")
)

// checkPages returns links to nowhere, pages that docs/README.md does not link to, and folders that ARCHITECTURE.md does
// not name.
func checkPages(t *testing.T, tree fs.FS) []string {
	t.Helper()
	pages, err := fs.Glob(tree, "*.md")
	if err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(tree, "docs", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && path.Ext(name) == ".md" {
			pages = append(pages, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var breaches, indexed []string
	for _, page := range pages {
		prose := codePattern.ReplaceAllString(readPage(t, tree, page), "")
		for _, m := range linkPattern.FindAllStringSubmatch(prose, -1) {
			to := path.Join(path.Dir(page), m[1])
			if page == "docs/README.md" {
				indexed = append(indexed, to)
			}
			if _, err := fs.Stat(tree, to); err != nil {
				breaches = append(breaches, page+": links to "+m[1]+", which is not there")
			}
		}
	}
	for _, page := range pages {
		if strings.HasPrefix(page, "docs/") && page != "docs/README.md" && !slices.Contains(indexed, page) {
			breaches = append(breaches, page+": docs/README.md has no line with a link to it")
		}
	}
	return append(breaches, checkFileMap(t, tree)...)
}

func checkFileMap(t *testing.T, tree fs.FS) (breaches []string) {
	t.Helper()
	_, fileMap, _ := strings.Cut(readPage(t, tree, "ARCHITECTURE.md"), "\n## File map\n")
	words := strings.FieldsFunc(fileMap, func(r rune) bool { return strings.ContainsRune(" \n,;", r) })
	for _, parent := range []string{".", "internal"} {
		entries, err := fs.ReadDir(tree, parent)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			folder := path.Join(parent, e.Name())
			named := func(word string) bool { return strings.HasPrefix(word, e.Name()+"/") }
			if e.IsDir() && e.Name()[0] != '.' && !slices.ContainsFunc(words, named) && hasGo(tree, folder) {
				breaches = append(breaches, folder+": the file map of ARCHITECTURE.md does not name it")
			}
		}
	}
	return breaches
}

// hasGo reports whether Go files lie below a folder: others may be of no business of the repository's.
func hasGo(tree fs.FS, folder string) bool {
	found := false
	_ = fs.WalkDir(tree, folder, func(name string, _ fs.DirEntry, _ error) error {
		if found = path.Ext(name) == ".go"; found {
			return fs.SkipAll
		}
		return nil
	})
	return found
}

func readPage(t *testing.T, tree fs.FS, name string) string {
	t.Helper()
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPagesCatch(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	got := checkPages(t, fstest.MapFS{
		"ARCHITECTURE.md":    file("see [a](docs/a.md#b), [out](https://weir.example)\n## File map\none/  internal/\n  two/\n"),
		"docs/README.md":     file("[a](a.md), [lost](design/lost.md)"),
		"docs/a.md":          file(""),
		"docs/design/new.md": file("[a](../a.md)\n```go\nm[k](f)\n```\n"),
		"one/one.go":         file(""), "internal/two/two.go": file(""),
		"three/three.go": file(""), "internal/four/x/four.go": file(""), "data/file.csv": file(""),
	})
	want := []string{
		"docs/README.md: links to design/lost.md, which is not there",
		"docs/design/new.md: docs/README.md has no line with a link to it",
		"three: the file map of ARCHITECTURE.md does not name it",
		"internal/four: the file map of ARCHITECTURE.md does not name it",
	}
	if !slices.Equal(got, want) {
		t.Errorf("breaches\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
