// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	module = "github.com/weir-stream/weir"
	root   = "../.." // of the repository
)

// source is a file that the rules look at. Only Go files have a syntax tree.
type source struct {
	path      string // from the root, with slashes
	text      []byte
	nested    bool // belongs to a module of its own below the root
	generated bool
	file      *ast.File
	fset      *token.FileSet
}

// folder is the package folder, "." for the root.
func (s *source) folder() string { return path.Dir(s.path) }

// isTest reports whether only go test compiles the file.
func (s *source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// line is the line of a position.
func (s *source) line(p token.Pos) int { return s.fset.Position(p).Line }

// imports yields the import paths in order.
func (s *source) imports() []string {
	var paths []string
	for _, spec := range s.file.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, "\""))
	}
	return paths
}

// repository is the tree that the tests judge, read once.
var repository = sync.OnceValues(func() ([]*source, error) { return load(os.DirFS(root)) })

func loadRepository(t *testing.T) []*source {
	t.Helper()
	sources, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) == 0 {
		t.Fatal("no source file found")
	}
	return sources
}

// load reads the Go and protobuf files of a tree, but for folders that the go command passes over.
func load(tree fs.FS) ([]*source, error) {
	var sources []*source
	var modules []string // folders of nested modules
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if name != "." && passedOver(d.Name()) {
				return fs.SkipDir
			}
			if _, err := fs.Stat(tree, path.Join(name, "go.mod")); err == nil && name != "." {
				modules = append(modules, name)
			}
			return nil
		case path.Ext(name) != ".go" && path.Ext(name) != ".proto":
			return nil
		}
		s, err := read(tree, name)
		if err != nil {
			return err
		}
		s.nested = slices.ContainsFunc(modules, func(m string) bool { return within(name, m) })
		sources = append(sources, s)
		return nil
	})
	return sources, err
}

func passedOver(folder string) bool {
	return strings.HasPrefix(folder, ".") || strings.HasPrefix(folder, "_") ||
		folder == "testdata" || folder == "node_modules"
}

func read(tree fs.FS, name string) (*source, error) {
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	s := &source{path: name, text: text, fset: token.NewFileSet()}
	if path.Ext(name) == ".go" {
		s.file, err = parser.ParseFile(s.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", name, err)
		}
		s.generated = ast.IsGenerated(s.file)
	}
	return s, nil
}

// lines is the number of lines of a file.
func (s *source) lines() int { return bytes.Count(s.text, []byte("\n")) }

// within reports whether a path is the folder or below it. Everything is within ".".
func within(name, folder string) bool {
	return folder == "." || name == folder || strings.HasPrefix(name, folder+"/")
}

// report fails the test with each breach of a rule on a line of its own.
func report(t *testing.T, breaches []string) {
	t.Helper()
	for _, b := range breaches {
		t.Error(b)
	}
}
