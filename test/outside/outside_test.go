// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package outside

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestModuleOutside(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/module")); err != nil {
		t.Fatal(err)
	}
	// Its dependencies are those of this module, at the same versions: nothing is looked up elsewhere.
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, requirements, ok := strings.Cut(string(mod), "\n")
	if !ok {
		t.Fatal("go.mod is a line")
	}
	own := fmt.Sprintf("module example.org/outside\n%s\nrequire github.com/weir-stream/weir v0.0.0\nreplace github.com/weir-stream/weir => %s\n",
		requirements, root)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(own), 0o644); err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, test := range []string{"TestTemperatures", "TestReadings", "TestJournal"} {
		if !strings.Contains(string(out), "--- PASS: "+test+" ") {
			t.Errorf("%s has not run:\n%s", test, out)
		}
	}
}
