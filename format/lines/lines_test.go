// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package lines_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/weir-stream/weir/format"
	"github.com/weir-stream/weir/format/lines"
)

func TestDecode(t *testing.T) {
	for text, want := range map[string][]string{
		"":             nil,
		"a":            {"a"},
		"a\n":          {"a"},
		"a\r\n\n\r\nb": {"a", "", "", "b"},
		"a\rb\n\r":     {"a\rb", ""},
	} {
		d := lines.NewDecoder()
		var got []string
		buf := []byte(text)
		for len(buf) > 0 {
			var line string
			n, err := d.Decode(buf, true, &line)
			if n == 0 || err != nil {
				t.Fatalf("%q: %d, %v", buf, n, err)
			}
			got, buf = append(got, line), buf[n:]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestDecodeAsksForMoreAndKeepsNothing(t *testing.T) {
	d := lines.NewDecoder()
	buf := []byte("first\nsec")
	var line, second string
	if n, err := d.Decode(buf, false, &line); n != 6 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if n, err := d.Decode(buf[6:], false, &second); n != 0 || err != nil || second != "" {
		t.Errorf("half a line: %d, %v, %q", n, err, second)
	}
	copy(buf, "XXXXX")
	if line != "first" {
		t.Errorf("the record became %q with the buffer", line)
	}
}

func TestEncode(t *testing.T) {
	text := "a,\"b\" "
	got, err := lines.NewEncoder().Append([]byte("x\n"), &text)
	if err != nil || string(got) != "x\na,\"b\" \n" {
		t.Errorf("%q, %v", got, err)
	}
	for _, text := range []string{"two\nlines", "return\r", "\r"} {
		got, err = lines.NewEncoder().Append([]byte("x\n"), &text)
		if _, ok := errors.AsType[*format.Error](err); !ok || string(got) != "x\n" {
			t.Errorf("%q: %q, %v; want an error", text, got, err)
		}
	}
}
