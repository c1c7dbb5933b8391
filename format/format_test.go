// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package format_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/weir-stream/weir/format"
)

func TestArenaStringsStay(t *testing.T) {
	var a format.Arena
	var got, want []string
	for i := range 5000 {
		b := []byte(strings.Repeat(string(rune('a'+i%26)), i%3000))
		got, want = append(got, a.String(b)), append(want, string(b))
		clear(b)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("string %d of %d bytes has changed", i, len(want[i]))
		}
	}
}

func TestArenaAllocatesBlocks(t *testing.T) {
	var a format.Arena
	b := []byte("N14228")
	if n := testing.AllocsPerRun(5000, func() { _ = a.String(b) }); n > 0.01 {
		t.Errorf("%v allocations a string", n)
	}
}

func TestErrorNamesTheField(t *testing.T) {
	if got := (&format.Error{Field: "a", Err: io.EOF}).Error(); got != "field a: EOF" {
		t.Error(got)
	}
	err := error(&format.Error{Err: io.EOF})
	if err.Error() != "EOF" || !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
