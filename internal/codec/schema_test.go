// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// reread writes rows as one type and reads them as another.
func reread[W, R any](rows ...W) ([]R, error) {
	w, r := must(For[W]()), must(For[R]())
	stored, err := UnmarshalSchema(w.Schema().Marshal())
	if err != nil {
		return nil, err
	}
	reader, err := r.Reader(stored)
	if err != nil {
		return nil, err
	}
	got := make([]R, len(rows))
	g := newGenerator(1)
	for i := range got {
		g.fill(reflect.ValueOf(&got[i]).Elem())
	}
	rest, err := reader.Decode(append(w.Append(nil, rows), "rest"...), got, Owned)
	if err == nil && string(rest) != "rest" {
		err = errors.New("left " + string(rest))
	}
	return got, err
}

func TestEvolution(t *testing.T) {
	t.Parallel()
	type v1 struct {
		ID   int32
		Name string
		Gone struct {
			Tags []string
			M    map[string][2]*time.Time
			B    bool
			F    float32
		}
		Kept []struct{ A, B uint8 }
	}
	var row v1
	row.ID, row.Name, row.Gone.Tags = -5, "n", []string{"x", "y"}
	row.Gone.M = map[string][2]*time.Time{"k": {nil, new(time.Time)}}
	row.Kept = []struct{ A, B uint8 }{{1, 255}, {3, 4}}
	type v2 struct {
		Kept []struct {
			B   int16
			New string
		}
		Title string `weir:"Name"`
		ID    int64
		Added map[string]int
	}
	got, err := reread[v1, v2](row, v1{}, row)
	if err != nil {
		t.Fatal(err)
	}
	one := v2{ID: -5, Title: "n", Kept: []struct {
		B   int16
		New string
	}{{B: 255}, {B: 4}}}
	if want := []v2{one, {}, one}; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestWidening(t *testing.T) {
	t.Parallel()
	checkWidened[int8, int64](t, []int8{-128, 0, 127}, []int64{-128, 0, 127})
	checkWidened[uint8, int16](t, []uint8{0, 255}, []int16{0, 255})
	checkWidened[uint8, uint64](t, []uint8{200, 255}, []uint64{200, 255})
	checkWidened[uint32, int64](t, []uint32{1 << 31, 1<<32 - 1}, []int64{1 << 31, 1<<32 - 1})
	checkWidened[int16, int32](t, []int16{-1}, []int32{-1})
	checkWidened[[3]uint8, [3]uint16](t, [][3]uint8{{1, 2, 255}}, [][3]uint16{{1, 2, 255}})
	checkWidened[map[uint8]int8, map[int16]time.Duration](t, []map[uint8]int8{{255: -1}}, []map[int16]time.Duration{{255: -1}})
	checkWidened[[2]struct{ A, B string }, [2]struct{}](t, [][2]struct{ A, B string }{{{"a", "b"}}}, [][2]struct{}{{}})
}

func checkWidened[W, R any](t *testing.T, rows []W, want []R) {
	t.Helper()
	if got, err := reread[W, R](rows...); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%T as %T: %v, error %v", rows, want, got, err)
	}
}

func TestIncompatibleFieldsAreNamed(t *testing.T) {
	t.Parallel()
	type inner[T any] struct{ F T }
	for want, run := range map[string]func() error{
		"F was written as string and can't be read as int64":    func() error { return try[inner[string], inner[int]]() },
		"F was written as int64 and can't be read as int32":     func() error { return try[inner[int], inner[int32]]() },
		"F was written as uint64 and can't be read as int64":    func() error { return try[inner[uint], inner[int]]() },
		"F was written as int8 and can't be read as uint64":     func() error { return try[inner[int8], inner[uint]]() },
		"F was written as [2]bool and can't be read as [3]bool": func() error { return try[inner[[2]bool], inner[[3]bool]]() },
		"F[].F was written as bytes":                            func() error { return try[inner[[]inner[[]byte]], inner[[]inner[string]]]() },
		"F[key] was written as string":                          func() error { return try[inner[map[string]int], inner[map[int]int]]() },
		"F[value] was written as float64":                       func() error { return try[inner[map[string]float64], inner[map[string]float32]]() },
		"F was written as *int64 and can't be read as int64":    func() error { return try[inner[*int], inner[int]]() },
		"the value was written as bool":                         func() error { return try[bool, int]() },
	} {
		err := run()
		if !errors.Is(err, ErrIncompatible) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %q, want %q", err, want)
		}
	}
}

func try[W, R any]() error {
	_, err := reread[W, R](*new(W))
	return err
}

func TestEvolutionOfRandomTypes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		g := newGenerator(seed)
		written, read := g.related(g.structType(4))
		rows := g.garbage(written, 1+g.IntN(9))
		root, _, data := appendRows(t, nil, rows)
		own, err := rules.check(read)
		if err != nil {
			t.Fatal(err)
		}
		if err := compatible(own, root, ""); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		got := g.garbage(read, rows.Len())
		rest, err := decodeValue(rules.plan(read, root), append(data, "rest"...), got, Owned)
		if err != nil || string(rest) != "rest" {
			t.Fatalf("seed %d: %v as %v: rest %q, error %v", seed, written, read, rest, err)
		}
		for i := range rows.Len() {
			for f := range read.NumField() {
				name := read.Field(f).Name
				want := reflect.Zero(read.Field(f).Type)
				if _, ok := written.FieldByName(name); ok {
					want = rows.Index(i).FieldByName(name)
				}
				if !reflect.DeepEqual(got.Index(i).Field(f).Interface(), want.Interface()) {
					t.Fatalf("seed %d: %v as %v: row %d: %s is %v, want %v", seed, written, read, i, name, got.Index(i).Field(f), want)
				}
			}
		}
	}
}

// related returns two struct types, each with some of the fields of t, in orders of their own.
func (g generator) related(t reflect.Type) (written, read reflect.Type) {
	some := func() reflect.Type {
		var fields []reflect.StructField
		for _, i := range g.Perm(t.NumField()) {
			if g.IntN(3) > 0 {
				fields = append(fields, reflect.StructField{Name: t.Field(i).Name, Type: t.Field(i).Type})
			}
		}
		return reflect.StructOf(fields)
	}
	return some(), some()
}

func TestSchemaRoundTrip(t *testing.T) {
	t.Parallel()
	seen := map[uint64]string{}
	for seed := range uint64(300) {
		n, err := rules.check(newGenerator(seed).structType(5))
		if err != nil {
			t.Fatal(err)
		}
		s := &Schema{n}
		data := s.Marshal()
		back, err := UnmarshalSchema(data)
		if err != nil || back.String() != s.String() || !back.root.equal(s.root) || back.Fingerprint() != s.Fingerprint() {
			t.Fatalf("seed %d: %v came back as %v, error %v", seed, s, back, err)
		}
		if other, ok := seen[s.Fingerprint()]; ok && other != s.String() {
			t.Fatalf("%v and %v have one fingerprint", s, other)
		}
		seen[s.Fingerprint()] = s.String()
		for size := range data {
			if _, err := UnmarshalSchema(data[:size]); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("seed %d: %d of %d bytes: error %v", seed, size, len(data), err)
			}
		}
		if _, err := UnmarshalSchema(append(data, 0)); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("seed %d: one byte more: error %v", seed, err)
		}
	}
}

func TestEverySchemaReadsItself(t *testing.T) {
	t.Parallel()
	s := must(For[all]()).Schema()
	if err := s.CanRead(s); err != nil {
		t.Error(err)
	}
}

func TestDamagedSchemas(t *testing.T) {
	t.Parallel()
	for want, data := range map[string]string{
		"unknown version":      "\x02\x01",
		"version":              "",
		"kind(21) is unknown":  "\x01\x15",
		"kind(0) is unknown":   "\x01\x11\x00",
		"field \"A\" twice":    "\x01\x10\x02\x01A\x01\x01A\x01",
		"nested deeper":        "\x01" + strings.Repeat("\x11", 1000),
		"struct of 4097 field": "\x01\x10\x81\x20",
		"array of 1844674407":  "\x01\x0f\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01",
		"ends early":           "\x01\x10\x01\x7fA",
		"1 bytes too many":     "\x01\x01\x01",
	} {
		if s, err := UnmarshalSchema([]byte(data)); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: schema %v, error %v, want %q", data, s, err, want)
		}
	}
}
