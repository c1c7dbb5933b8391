// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package arch

import (
	"fmt"
	"go/ast"
	"testing"
)

func TestMethodsOfStreamsMakeNoSteps(t *testing.T) {
	report(t, checkInstances(loadRepository(t)))
}

// checkInstances returns the methods of streams by which each job would compile operators that it doesn't use.
//
// The compiler makes all methods of a generic type for each type that it is used with, called or not, and of what they
// call the same; a method with a type parameter of its own is made where it is called. So what makes an operator or a
// connector has one, be it only the type of the function that it takes.
func checkInstances(sources []*source) []string {
	var breaches []string
	helpers := stepHelpers(sources)
	eachFunc(sources, func(s *source, f *ast.FuncDecl) {
		if f.Recv == nil || f.Type.TypeParams != nil || !generic(f.Recv.List[0].Type) {
			return
		}
		if made := makesStep(f.Body, helpers); made != "" {
			breaches = append(breaches, fmt.Sprintf(
				"%s:%d: %s needs a type parameter of its own: each job would compile %s for each type of its streams",
				s.path, s.line(f.Pos()), f.Name.Name, made))
		}
	})
	return breaches
}

// stepHelpers are the functions with type parameters that make steps for the methods.
func stepHelpers(sources []*source) map[string]bool {
	helpers := map[string]bool{}
	eachFunc(sources, func(_ *source, f *ast.FuncDecl) {
		if f.Recv == nil && f.Type.TypeParams != nil && makesStep(f.Body, nil) != "" {
			helpers[f.Name.Name] = true
		}
	})
	return helpers
}

// eachFunc calls f for each function of package stream.
func eachFunc(sources []*source, f func(s *source, d *ast.FuncDecl)) {
	for _, s := range sources {
		if s.file == nil || s.isTest() || s.folder() != "stream" {
			continue
		}
		for _, d := range s.file.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && d.Body != nil {
				f(s, d)
			}
		}
	}
}

// generic reports whether a receiver has type parameters.
func generic(recv ast.Expr) bool {
	if p, ok := recv.(*ast.StarExpr); ok {
		recv = p.X
	}
	switch recv.(type) {
	case *ast.IndexExpr, *ast.IndexListExpr:
		return true
	}
	return false
}

// makesStep names the first function of the operators or connectors, or helper, that is called.
func makesStep(body ast.Node, helpers map[string]bool) string {
	found := ""
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || found != "" {
			return found == ""
		}
		fun := call.Fun
		switch indexed := fun.(type) {
		case *ast.IndexExpr:
			fun = indexed.X
		case *ast.IndexListExpr:
			fun = indexed.X
		}
		switch fun := fun.(type) {
		case *ast.Ident:
			if helpers[fun.Name] {
				found = fun.Name
			}
		case *ast.SelectorExpr:
			if pkg, ok := fun.X.(*ast.Ident); ok && (pkg.Name == "operator" || pkg.Name == "printer") {
				found = pkg.Name + "." + fun.Sel.Name
			}
		}
		return true
	})
	return found
}

func TestInstancesCatch(t *testing.T) {
	const head = "package stream\n\n"
	tests := []struct{ name, file, text, breach string }{
		{"own parameter", "stream/a.go", "func (s S[T]) M[F ~func()](f F) { return operator.M[T](f) }\n", ""},
		{"no parameter", "stream/a.go", "func (s S[T]) M(f func()) { apply(func() { operator.M(f) }) }\n", "stream/a.go:3: M needs"},
		{"instance", "stream/a.go", "func (s *S[K, T]) M(f func()) { printer.New[K, T]() }\n", "compile printer.New"},
		{"helper", "stream/a.go", "func (s S[T]) M() { help(s) }\n\nfunc help[T any](s S[T]) { operator.M[T]() }\n", "compile help"},
		{"plain type", "stream/a.go", "func (e *Env) M() { operator.M() }\n", ""},
		{"only a type", "stream/a.go", "func (s S[T]) M() { s.set(operator.Windows{}) }\n", ""},
		{"elsewhere", "streamtest/a.go", "func (s S[T]) M() { operator.M() }\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, checkInstances(parse(t, tt.file, head+tt.text)), tt.breach)
		})
	}
}
