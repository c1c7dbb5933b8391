// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

// TestCurves measures small points of all curves but those of real clusters.
func TestCurves(t *testing.T) {
	var out strings.Builder
	err := run(t.Context(), []string{
		"-only", "subtasks,channels,keys,windows,rows,state", "-rounds", "1", "-starts", "1", "-records", "4096",
		"-subtasks", "1,2", "-sides", "1,3", "-keys", "10000", "-panes", "10", "-state", "1",
	}, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, row := range []string{"| 2 | ", "| 3 x 3 | 9 | ", "| 1e+04 | ", "| 10 | ", "| 2048 | ", "| 1 MB | "} {
		if !strings.Contains(out.String(), "\n"+row) {
			t.Errorf("there is no row %q in\n%s", row, &out)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-only hats", "there is no curve"},
		{"-sides 3,x", "no number of subtasks"},
		{"-records 1000", "want a multiple"},
		{"-rounds 0", "want one or more"},
		{"more", "is no flag"},
	} {
		if _, err := parseOptions(strings.Fields(c.args), &strings.Builder{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.args, err, c.want)
		}
	}
}
