// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"reflect"
	"runtime"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rules = compiler{open: statePackage}

// appendRows is Append for a slice of a type that is known at run time only.
func appendRows(t *testing.T, dst []byte, rows reflect.Value) (*node, *plan, []byte) {
	t.Helper()
	elem := rows.Type().Elem()
	root, err := rules.check(elem)
	if err != nil {
		t.Fatalf("%v: %v", elem, err)
	}
	p := rules.plan(elem, root)
	e := encoder{dst: dst, scratch: new(scratch)}
	if rows.Len() > 0 {
		start := len(dst)
		e.dst = append(e.dst, make([]byte, blobHeader)...)
		e.columns(p, []seg{{rows.UnsafePointer(), rows.Len()}}, rows.Len())
		putBlobSize(e.dst[start:], e.blob)
	}
	return root, p, e.dst
}

func decodeValue(p *plan, src []byte, rows reflect.Value, mode Strings) ([]byte, error) {
	d := decoder{src: src, mode: mode, scratch: new(scratch)}
	if rows.Len() == 0 {
		return src, nil
	}
	if err := d.openBlob(); err != nil {
		return nil, err
	}
	if p.zero {
		for i := range rows.Len() {
			rows.Index(i).SetZero()
		}
	}
	err := d.columns(p, []seg{{rows.UnsafePointer(), rows.Len()}}, rows.Len())
	return d.src, err
}

func TestRoundTripOfRandomTypes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(600) {
		g := newGenerator(seed)
		typ := g.structType(4)
		rows := g.garbage(typ, g.IntN(20))
		_, p, data := appendRows(t, []byte("before"), rows)
		_, _, again := appendRows(t, []byte("before"), rows)
		if string(again) != string(data) {
			t.Fatalf("seed %d: %v: two encodings differ", seed, typ)
		}
		for _, mode := range []Strings{Owned, Borrowed} {
			got := g.garbage(typ, rows.Len())
			src := append(data[len("before"):len(data):len(data)], "after"...)
			rest, err := decodeValue(p, src, got, mode)
			if err != nil || string(rest) != "after" {
				t.Fatalf("seed %d: %v: rest %q, error %v", seed, typ, rest, err)
			}
			if mode == Owned {
				clear(src)
				runtime.GC()
			}
			if !reflect.DeepEqual(got.Interface(), rows.Interface()) {
				t.Fatalf("seed %d, mode %v: %v: %s", seed, mode, typ, cmp.Diff(rows.Interface(), got.Interface()))
			}
		}
	}
}

func TestDecodeOfEachPrefixFails(t *testing.T) {
	t.Parallel()
	for seed := range uint64(80) {
		g := newGenerator(seed)
		typ := g.structType(4)
		rows := g.garbage(typ, 1+g.IntN(9))
		root, p, data := appendRows(t, nil, rows)
		for size := range data {
			cut := append([]byte(nil), data[:size]...)
			if _, err := decodeValue(p, cut, g.garbage(typ, rows.Len()), Owned); err == nil {
				t.Fatalf("seed %d: %v: %d of %d bytes decoded", seed, typ, size, len(data))
			}
			if size >= blobHeader {
				if _, err := skip(root, cut[blobHeader:], rows.Len()); err == nil {
					t.Fatalf("seed %d: %v: %d of %d bytes skipped", seed, typ, size, len(data))
				}
			}
		}
		if rest, err := skip(root, append(data, 1, 2, 3)[blobHeader:], rows.Len()); err != nil || len(rest) != 3 {
			t.Fatalf("seed %d: %v: skip: rest %v, error %v", seed, typ, rest, err)
		}
	}
}

func TestCodecIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	c := must(For[all]())
	want := c.Append(nil, allRows())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			rows := make([]all, len(allRows()))
			for range 50 {
				if _, err := c.Decode(want, rows, Owned); err != nil {
					t.Error(err)
				}
				if got := c.Append(nil, rows); string(got) != string(want) {
					t.Error("other bytes")
				}
			}
		})
	}
	wg.Wait()
}
