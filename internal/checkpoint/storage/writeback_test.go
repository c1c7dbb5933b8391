// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestWritebackBeginsWhileWriting writes a file in pieces of all sizes: the disk is told of each part once, in order, and of
// all but what is less than a part.
func TestWritebackBeginsWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f, err := OS().Create(path)
	if err != nil {
		t.Fatal(err)
	}
	file := f.(*osFile)
	var told int64
	calls := 0
	file.begin = func(f *os.File, from, n int64) {
		if from != told || n < writebackBytes {
			t.Errorf("told of %d bytes at %d, behind %d", n, from, told)
		}
		told += n
		calls++
		beginWriteback(f, from, n)
	}
	var want []byte
	for n := 1; len(want) < 3*writebackBytes; n = n*3%(5<<20) + 1 {
		piece := bytes.Repeat([]byte{byte(n)}, n)
		want = append(want, piece...)
		if _, err := f.Write(piece); err != nil {
			t.Fatal(err)
		}
		if left := int64(len(want)) - told; left >= writebackBytes {
			t.Fatalf("the disk was not told of %d bytes", left)
		}
	}
	if calls < 2 {
		t.Errorf("told %d times of %d bytes", calls, len(want))
	}
	if err := f.Sync(); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes read, %d written, %v", len(got), len(want), err)
	}
}
