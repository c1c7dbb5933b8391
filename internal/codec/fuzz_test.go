// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"errors"
	"testing"
)

func FuzzDecode(f *testing.F) {
	c := must(For[all]())
	for n := range 4 {
		f.Add(byte(n), c.Append(nil, allRows()[:min(n, 3)]))
	}
	f.Fuzz(func(t *testing.T, n byte, data []byte) {
		rows := make([]all, n)
		_, err := c.Decode(data, rows, Owned)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if _, err := c.Decode(data, rows, Borrowed); err != nil {
			t.Fatalf("borrowed only: %v", err)
		}
		// What was read can be written and read again, and is the same bytes then.
		first := c.Append(nil, rows)
		if _, err := c.Decode(first, rows, Owned); err != nil {
			t.Fatal(err)
		}
		if second := c.Append(nil, rows); string(second) != string(first) {
			t.Fatalf("%x became %x", first, second)
		}
	})
}

// FuzzReader decodes under schemas that nobody wrote.
func FuzzReader(f *testing.F) {
	c := must(For[all]())
	f.Add(c.Schema().Marshal(), c.Append(nil, allRows()))
	f.Add(must(For[struct {
		Flag int
		X    []map[string][3][]bool
		Name string
	}]()).Schema().Marshal(), []byte("01234567890123456789"))
	f.Add([]byte("\x01\x10\x01\x01X\x0f\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x11\x01"), []byte("\x10\x01\x10\x01"))
	f.Fuzz(func(t *testing.T, schema, data []byte) {
		s, err := UnmarshalSchema(schema)
		if err != nil {
			return
		}
		r, err := c.Reader(s)
		if err != nil {
			return
		}
		rows := make([]all, 3)
		if _, err := r.Decode(data, rows, Owned); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

func TestDamagedBytesNeverPanic(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		g := newGenerator(seed)
		typ := g.structType(4)
		rows := g.garbage(typ, 1+g.IntN(9))
		root, p, data := appendRows(t, nil, rows)
		for range 50 {
			damaged := append([]byte(nil), data...)
			for range 1 + g.IntN(3) {
				damaged[g.IntN(len(damaged))] = byte(g.bits())
			}
			if _, err := decodeValue(p, damaged, g.garbage(typ, rows.Len()), Owned); err != nil && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if _, err := skip(root, damaged[blobHeader:], rows.Len()); err != nil && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("seed %d: skip: %v", seed, err)
			}
		}
	}
}
