// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package console

import (
	"os"
	"testing"
)

func TestTerminalLine(t *testing.T) {
	name := t.TempDir() + "/out"
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	term := &Terminal{out: f, IsTTY: true}
	term.Progress("one")
	term.Progress("two")
	term.Println("stays")
	term.Progress("three")
	if _, err := term.Write([]byte("logged\n")); err != nil {
		t.Fatal(err)
	}
	term.Clear()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const e = "\r\x1b[2K"
	if want := e + "one" + e + "two" + e + "stays\n" + e + "three" + e + "logged\n"; string(got) != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, tt := range []struct {
		line  string
		width int
		want  string
	}{{"µs and more", 2, "µs"}, {"short", 10, "short"}, {"unknown", 0, "unknown"}, {"unknown", -1, "unknown"}} {
		if got := clip(tt.line, tt.width); got != tt.want {
			t.Errorf("clip(%q, %d) = %q", tt.line, tt.width, got)
		}
	}
}
