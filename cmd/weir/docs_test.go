// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the table of options into docs/configuration.md")

// TestConfigurationPage: the table of docs/configuration.md is what the options are.
func TestConfigurationPage(t *testing.T) {
	const name, begin = "../../docs/configuration.md", "|---|---|---|---|---|\n"
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	absolute, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir()) // no configuration file is read
	var out, errs bytes.Buffer
	if code := execute(t.Context(), []string{"config", "--docs"}, &out, &errs, nil); code != exitDone {
		t.Fatalf("exit code %d: %s", code, &errs)
	}
	head, table, ok := strings.Cut(string(page), begin)
	if !ok {
		t.Fatal("the page has no table")
	}
	if table == out.String() {
		return
	}
	if !*rewrite {
		t.Fatal("docs/configuration.md is not up to date: go test ./cmd/weir -run TestConfigurationPage -rewrite")
	}
	if err := os.WriteFile(absolute, []byte(head+begin+out.String()), 0o666); err != nil {
		t.Fatal(err)
	}
}
