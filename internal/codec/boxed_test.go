// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type boxedRow struct {
	ID    int64
	Name  string
	Texts []string
	Next  *int64
}

type holder[T any] struct {
	Key   int64
	Value T
	Last  bool
}

// TestBoxedIsStoredAsItsValue compares with rows that hold the values themselves, in both directions.
func TestBoxedIsStoredAsItsValue(t *testing.T) {
	t.Parallel()
	values := []boxedRow{{1, "a", []string{"x", ""}, new(int64(7))}, {}, {2, "bc", nil, nil}, {-3, "", []string{}, new(int64(8))}}
	var plain []holder[boxedRow]
	var boxed []holder[Boxed[boxedRow]]
	for i := range values {
		plain = append(plain, holder[boxedRow]{int64(i), values[i], i == 2})
		boxed = append(boxed, holder[Boxed[boxedRow]]{int64(i), &values[i], i == 2})
	}
	boxed[1].Value = nil
	c := must(For[holder[boxedRow]]())
	b := must(For[holder[Boxed[boxedRow]]]())
	if !bytes.Equal(c.Schema().Marshal(), b.Schema().Marshal()) {
		t.Fatal("schemas differ")
	}
	data := c.Append(nil, plain)
	if got := b.Append(nil, boxed); !bytes.Equal(got, data) {
		t.Fatalf("boxed  %x\nplain  %x", got, data)
	}
	before := new(boxedRow{Name: "not to be written to"})
	got := []holder[Boxed[boxedRow]]{{Value: before}, {}, {}, {}}
	rest, err := b.Decode(data, got, Owned)
	if err != nil || len(rest) > 0 {
		t.Fatalf("rest %x, error %v", rest, err)
	}
	if before.Name != "not to be written to" {
		t.Error("the value that was there before has been overwritten")
	}
	for i := range got {
		want := holder[boxedRow]{got[i].Key, *got[i].Value, got[i].Last}
		if !reflect.DeepEqual(want, plain[i]) {
			t.Errorf("row %d: %s", i, cmp.Diff(plain[i], want))
		}
	}
	for n := range data {
		if _, err := b.Decode(data[:n], make([]holder[Boxed[boxedRow]], len(values)), Owned); err == nil {
			t.Errorf("%d of %d bytes were decoded", n, len(data))
		}
	}
}

// TestBoxedEvolves reads what was written before a field was there.
func TestBoxedEvolves(t *testing.T) {
	t.Parallel()
	type older struct {
		Gone string
		ID   int32
	}
	got, err := reread[holder[older], holder[Boxed[boxedRow]]](holder[older]{5, older{"x", 9}, true})
	if err != nil {
		t.Fatal(err)
	}
	if g := got[0]; g.Key != 5 || !g.Last || !reflect.DeepEqual(*g.Value, boxedRow{ID: 9}) {
		t.Errorf("got %+v of %+v", g, *g.Value)
	}
}
