// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/weir-stream/weir/internal/codec"
)

var rewriteGolden = flag.Bool("rewrite", false, "rewrite the golden files")

type offset struct {
	File string
	At   int64
	Tags []string
}

func offsetCodec(tb testing.TB) *codec.Codec[offset] {
	tb.Helper()
	c, err := codec.For[offset]()
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func example() []offset {
	return []offset{{"a.csv", 1 << 40, []string{"x", "y"}}, {"", -1, nil}, {"b.csv", 0, []string{}}}
}

func TestRowsGolden(t *testing.T) {
	path := filepath.Join("testdata", "rows-v1.golden")
	c := offsetCodec(t)
	data := encodeRows(c, example())
	if *rewriteGolden {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(golden) != string(data) {
		t.Error("rows are no longer written as version 1 was: stored ones can't be read")
	}
	rows, err := decodeRows(c, golden)
	if err != nil || !reflect.DeepEqual(rows, example()) {
		t.Errorf("read %v, %v", rows, err)
	}
}

func TestRowsOfAnotherProgram(t *testing.T) {
	type newer struct {
		At   int64
		Line int
		File string
	}
	c, err := codec.For[newer]()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := decodeRows(c, encodeRows(offsetCodec(t), example()))
	if want := (newer{At: 1 << 40, File: "a.csv"}); err != nil || len(rows) != 3 || rows[0] != want {
		t.Errorf("read %v, %v", rows, err)
	}
}

func TestManyRows(t *testing.T) {
	c, err := codec.For[int64]()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, chunkRows, chunkRows + 1, 3 * chunkRows} {
		rows := make([]int64, n)
		for i := range rows {
			rows[i] = int64(i)
		}
		got, err := decodeRows(c, encodeRows(c, rows))
		if err != nil || len(got) != n || n > 0 && !reflect.DeepEqual(got, rows) {
			t.Errorf("%d rows: read %d, %v", n, len(got), err)
		}
	}
}

func TestRowsOfUnknownVersion(t *testing.T) {
	data := encodeRows(offsetCodec(t), example())
	data[0] = 2
	if _, err := decodeRows(offsetCodec(t), data); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("read with %v", err)
	}
}

// FuzzRows feeds damaged rows: they must be refused or read, never panic.
func FuzzRows(f *testing.F) {
	c := offsetCodec(f)
	f.Add(encodeRows(c, example()))
	f.Add([]byte{rowsVersion, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := decodeRows(c, data)
		if err != nil {
			return
		}
		again, err := decodeRows(c, encodeRows(c, rows))
		if err != nil || !reflect.DeepEqual(again, rows) {
			t.Errorf("read %v, then %v, %v", rows, again, err)
		}
	})
}
