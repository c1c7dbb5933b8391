// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"testing"
)

func TestTable(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	table(&b, [][]string{{"ID", "NAME", ""}, {"1", "größer", ""}, {"22", "", "draining"}, {"3", "x", ""}})
	want := "ID  NAME\n1   größer\n22          draining\n3   x\n"
	if b.String() != want {
		t.Errorf("table:\n%swant\n%s", b.String(), want)
	}
	for _, tt := range []struct {
		cell            string
		header, colours bool
		want            string
	}{
		{"RUNNING", false, false, "RUNNING"},
		{"RUNNING", false, true, green + "RUNNING" + plain},
		{"FAILED", false, true, red + "FAILED" + plain},
		{"RUNNING for ever", false, true, "RUNNING for ever"},
		{"STATE", true, true, bold + "STATE" + plain},
	} {
		if got := paint(tt.cell, tt.header, tt.colours); got != tt.want {
			t.Errorf("paint(%q, %t, %t) = %q, want %q", tt.cell, tt.header, tt.colours, got, tt.want)
		}
	}
}
