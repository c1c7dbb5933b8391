// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

type color uint8

type point struct{ X, Y int16 }

// all has a field of every kind, in the shapes that programs use.
type all struct {
	Flag   bool
	Small  int8
	Count  int
	Color  color
	Large  uint64
	Ratio  float32
	Mean   float64
	Name   string
	Raw    []byte
	At     time.Time
	Wait   time.Duration
	UUID   [16]byte
	Corner [2]point
	Path   []point
	Labels map[string]int32
	Opt    *point
	Names  []string
	Deep   map[int8][]*string
	Addr   netip.Addr
	hidden int32  `weir:"shown,ttl=30m"`
	Cache  func() `weir:"-"`
}

func allRows() []all {
	text := "text"
	return []all{
		{},
		{
			Flag: true, Small: -1, Count: -300, Color: 200, Large: math.MaxUint64, Ratio: 0.5, Mean: -2.25, Name: "näme",
			Raw: []byte{0, 255}, At: time.Unix(1_700_000_000, 123_456_789).UTC(), Wait: -time.Hour, UUID: [16]byte{1, 15: 2},
			Corner: [2]point{{1, -2}, {3, -4}}, Path: []point{{5, 6}, {7, 8}}, Labels: map[string]int32{"b": 2, "a": -1},
			Opt: &point{9, 10}, Names: []string{"x", "", "zz"}, Deep: map[int8][]*string{1: {&text, nil}, -1: nil, 0: {}},
			Addr: netip.MustParseAddr("10.0.0.1"), hidden: 7,
		},
		{
			Raw: []byte{}, Path: []point{}, Labels: map[string]int32{}, Names: []string{}, Opt: &point{},
			At: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
		},
	}
}

func TestRoundTripOfEveryKind(t *testing.T) {
	t.Parallel()
	c := must(For[all]())
	rows := allRows()
	src := c.Append(nil, rows)
	for _, mode := range []Strings{Owned, Borrowed} {
		got := make([]all, len(rows))
		for i := range got { // what was there must go
			got[i] = allRows()[1]
			got[i].Cache = func() {}
		}
		rest, err := c.Decode(src, got, mode)
		if err != nil || len(rest) > 0 {
			t.Fatalf("rest %v, error %v", rest, err)
		}
		if !reflect.DeepEqual(got, rows) {
			t.Errorf("got  %+v\nwant %+v", got, rows)
		}
	}
}

func TestGoldenBytes(t *testing.T) {
	t.Parallel()
	c := must(For[all]())
	lines := fmt.Sprintf("schema %v\nfingerprint %016x\nstored\n%srows\n%s",
		c.Schema(), c.Schema().Fingerprint(), hex.Dump(c.Schema().Marshal()), hex.Dump(c.Append(nil, allRows())))
	name := filepath.Join("testdata", "v1.golden")
	if *rewrite {
		if err := os.WriteFile(name, []byte(lines), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if lines != string(want) {
		t.Errorf("the format changed: it needs a version and a reader of the old one\n%s", lines)
	}
}

func TestSameRowsGiveSameBytes(t *testing.T) {
	t.Parallel()
	c := must(For[map[[2]string]int]())
	m := map[[2]string]int{}
	for i := range 100 {
		m[[2]string{fmt.Sprint(i % 7), fmt.Sprint(i)}] = i
	}
	want := c.Append(nil, []map[[2]string]int{m})
	for range 20 {
		if got := c.Append(nil, []map[[2]string]int{m}); string(got) != string(want) {
			t.Fatal("the order of a map shows")
		}
	}
}

func TestStringsAreOwnedOrBorrowed(t *testing.T) {
	t.Parallel()
	type row struct {
		S string
		B []byte
	}
	c := must(For[row]())
	rows := make([]row, 1)
	src := c.Append(nil, []row{{"string", []byte("bytes")}})
	for mode, want := range map[Strings]string{Owned: "string bytes", Borrowed: "****** *****"} {
		damaged := append([]byte(nil), src...)
		if _, err := c.Decode(damaged, rows, mode); err != nil {
			t.Fatal(err)
		}
		for i := range damaged {
			damaged[i] = '*'
		}
		if got := rows[0].S + " " + string(rows[0].B); got != want {
			t.Errorf("mode %v: %q", mode, got)
		}
		if cap(rows[0].B) != len(rows[0].B) {
			t.Errorf("mode %v: append would write over what follows", mode)
		}
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	rows := bids(100)
	c := must(For[bid]())
	src := c.Append(nil, rows)
	type nested struct {
		At    time.Time
		Tags  []string
		Opt   *int
		Pairs [3]point
	}
	n := must(For[nested]())
	deep := make([]nested, 100)
	for i := range deep {
		deep[i] = nested{Tags: []string{"a"}, Opt: &i}
	}
	room := n.Append(nil, deep)
	for name, tc := range map[string]struct {
		want float64
		run  func()
	}{
		"append":           {0, func() { src = c.Append(src[:0], rows) }},
		"append nested":    {0, func() { room = n.Append(room[:0], deep) }},
		"decode borrowed":  {0, func() { _, _ = c.Decode(src, rows, Borrowed) }},
		"decode owned":     {1, func() { _, _ = c.Decode(src, rows, Owned) }},
		"nothing to write": {0, func() { src = c.Append(src, nil) }},
	} {
		// The collector may empty the pool of scratch memory at any time, and race builds drop from it at random.
		if got := testing.AllocsPerRun(50, tc.run); got > tc.want && !(raceEnabled && strings.Contains(name, "nested")) {
			t.Errorf("%s: %v allocations, want %v", name, got, tc.want)
		}
	}
}

type linked struct{ Next *linked }

type secret struct{ inner int }

type bad struct {
	Inner struct {
		Items []map[string]any
	}
}

func TestTypesThatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		typ  reflect.Type
		want []string
	}{
		{reflect.TypeFor[bad](), []string{"bad.Inner.Items[][value] (interface {}) is an interface", "concrete type"}},
		{reflect.TypeFor[struct{ F func() }](), []string{".F (func()) cannot be encoded", `weir:"-"`}},
		{reflect.TypeFor[struct{ C chan int }](), []string{".C (chan int)"}},
		{reflect.TypeFor[struct{ C complex128 }](), []string{".C (complex128)"}},
		{reflect.TypeFor[struct{ P unsafe.Pointer }](), []string{".P (unsafe.Pointer)"}},
		{reflect.TypeFor[struct{ E error }](), []string{".E (error) is an interface"}},
		{reflect.TypeFor[secret](), []string{"secret.inner (int) is an unexported field", `weir:"inner"`, `weir:"-"`}},
		{reflect.TypeFor[linked](), []string{"linked.Next (codec.linked) contains itself", "MarshalBinary"}},
		{reflect.TypeFor[map[*int]int](), []string{"pointers in its keys"}},
		{reflect.TypeFor[struct {
			A int `weir:"same"`
			B int `weir:"same"`
		}](), []string{`.B (int) has the name "same" of field A`}},
		{reflect.TypeFor[struct{ N big.Int }](), []string{".N.neg (bool)", "wrap big.Int in a type with MarshalBinary"}},
		{reflect.TypeFor[any](), []string{"interface {} (interface {}) is an interface"}},
	} {
		err := Check(tc.typ)
		if err == nil {
			t.Errorf("%v: no error", tc.typ)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: error %q lacks %q", tc.typ, err, want)
			}
		}
	}
	deep := reflect.TypeFor[int]()
	for range depthMax {
		deep = reflect.SliceOf(deep)
	}
	if err := Check(deep); err == nil || !strings.Contains(err.Error(), "nested deeper than 64 types") {
		t.Errorf("deep type: %v", err)
	}
	if err := Check(deep.Elem()); err != nil {
		t.Error(err)
	}
	many := make([]reflect.StructField, fieldsMax+1)
	for i := range many {
		many[i] = reflect.StructField{Name: fmt.Sprint("F", i), Type: reflect.TypeFor[bool]()}
	}
	if err := Check(reflect.StructOf(many)); err == nil || !strings.Contains(err.Error(), "more than 4096 fields") {
		t.Errorf("wide type: %v", err)
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[all](), reflect.TypeFor[url.URL](), reflect.TypeFor[[]*netip.Prefix](), reflect.TypeFor[int]()} {
		if err := Check(typ); err != nil {
			t.Error(err)
		}
	}
	if _, err := For[bad](); err == nil {
		t.Error("For compiles what Check refuses")
	}
}

func TestMarshalersStandInForTheirInsides(t *testing.T) {
	t.Parallel()
	c := must(For[[]*host]())
	if got := c.Schema().String(); got != "[]*binary" {
		t.Fatalf("schema %s", got)
	}
	rows := [][]*host{{{name: "a"}, nil, {name: "bb"}}, nil}
	got := [][]*host{{{name: "old"}}, {{name: "old"}}}
	rest, err := c.Decode(c.Append(nil, rows), got, Owned)
	if err != nil || len(rest) > 0 || !reflect.DeepEqual(got, rows) {
		t.Errorf("got %v, rest %v, error %v", got, rest, err)
	}
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, errNoHost) || !strings.Contains(err.Error(), "U") {
			t.Errorf("panic with %v", err)
		}
	}()
	must(For[struct{ U host }]()).Append(nil, []struct{ U host }{{}})
}

// host marshals itself; its inside is its own business.
type host struct{ name string }

var errNoHost = errors.New("no host")

func (h *host) MarshalBinary() ([]byte, error) {
	if h.name == "" {
		return nil, errNoHost
	}
	return []byte(h.name), nil
}

func (h *host) UnmarshalBinary(data []byte) error {
	if h.name != "" {
		return errors.New("called on a value in use")
	}
	h.name = string(data)
	return nil
}

// openValue is what the package of state has: a handle around unexported fields.
type openValue[T any] struct {
	value T
	set   bool
	owner *int `weir:"-"`
}

func TestStateHasNoSecrets(t *testing.T) {
	t.Parallel()
	type row struct{ V openValue[string] }
	if _, err := For[row](); err == nil {
		t.Fatal("unexported fields are encoded everywhere")
	}
	c := must(compile[row](compiler{open: reflect.TypeFor[openValue[string]]().PkgPath()}))
	if got, want := c.Schema().String(), "struct{V struct{value string; set bool}}"; got != want {
		t.Errorf("schema %s, want %s", got, want)
	}
	rows, got := []row{{openValue[string]{"x", true, new(int)}}}, make([]row, 1)
	if _, err := c.Decode(c.Append(nil, rows), got, Owned); err != nil {
		t.Fatal(err)
	}
	rows[0].V.owner = nil
	if got[0] != rows[0] {
		t.Errorf("got %+v", got)
	}
}

func TestPointerFree(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ got, want bool }{
		"point":       {must(For[point]()).PointerFree(), true},
		"bytes":       {must(For[[16]byte]()).PointerFree(), true},
		"durations":   {must(For[struct{ A, B time.Duration }]()).PointerFree(), true},
		"no pointers": {must(For[[0]string]()).PointerFree(), true},
		"string":      {must(For[struct{ S string }]()).PointerFree(), false},
		"time":        {must(For[time.Time]()).PointerFree(), false},
		"left out": {must(For[struct {
			P *int `weir:"-"`
		}]()).PointerFree(), false},
		"array of map": {must(For[[1]map[int]int]()).PointerFree(), false},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %v", name, tc.got)
		}
	}
}

func TestDamagedCountsAllocateLittle(t *testing.T) {
	type row struct {
		P []point
		M map[int64][4]int64
		S string
	}
	c := must(For[row]())
	const huge = "\x80\xff\xff\xff\xff\xff\xff\xff\x7f"
	for name, src := range map[string]string{
		"blob":   "\xff\xff\xff\xff\xff\xff\xff\x7f",
		"slice":  "\x00\x00\x00\x00\x00\x00\x00\x00" + huge,
		"slice4": "\x00\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x40" + strings.Repeat("\x00", 100),
		"map":    "\x00\x00\x00\x00\x00\x00\x00\x00\x00" + huge,
		"string": "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + huge,
	} {
		rows := make([]row, 2)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := c.Decode([]byte(src), rows, Owned)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: error %v", name, err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<16 {
			t.Errorf("%s: %d bytes allocated", name, got)
		}
	}
}

func TestLengthsOfAllWidths(t *testing.T) {
	t.Parallel()
	type row struct {
		S string
		B []byte
		_ int
	}
	c := must(For[row]())
	for _, size := range []int{0, 1, 255, 256, 65535, 65536, 1 << 20} {
		rows := []row{{S: strings.Repeat("s", size), B: make([]byte, size)}, {}, {S: "t", B: []byte("u")}}
		got := make([]row, len(rows))
		rest, err := c.Decode(c.Append(nil, rows), got, Owned)
		if err != nil || len(rest) > 0 || !reflect.DeepEqual(got, rows) {
			t.Errorf("%d bytes: rest %d, error %v", size, len(rest), err)
		}
	}
}

func TestConstantChildrenAreSmall(t *testing.T) {
	t.Parallel()
	c := must(For[[]int64]())
	row := make([]int64, 8000)
	data := c.Append(nil, [][]int64{row})
	if len(data) > 1100 {
		t.Errorf("%d bytes for 8000 zeros", len(data))
	}
	got := make([][]int64, 1)
	rest, err := c.Decode(append(data, 1), got, Owned)
	if err != nil || len(rest) != 1 || !reflect.DeepEqual(got[0], row) {
		t.Errorf("%d elements, rest %v, error %v", len(got[0]), rest, err)
	}
}

// TestBytesAsDocumented has the examples of docs/formats/codec.md.
func TestBytesAsDocumented(t *testing.T) {
	t.Parallel()
	nine := uint8(9)
	for want, got := range map[string][]byte{
		"11 05 00 02 01":                         must(For[int16]()).Append(nil, []int16{5, 7, 6}),
		"10 ff":                                  must(For[int64]()).Append(nil, []int64{-1, -1}),
		"05":                                     must(For[bool]()).Append(nil, []bool{true, false, true}),
		"0400000000000000 11 01 00 02 61 626364": must(For[string]()).Append(nil, []string{"a", "bcd"}),
		"02 10 09":                               must(For[*uint8]()).Append(nil, []*uint8{nil, &nine}),
		"01 00 01 02 01":                         must(For[[]bool]()).Append(nil, [][]bool{nil, {}, {true}}),
		"10 03 01 01 02 02":                      must(For[map[uint8]bool]()).Append(nil, []map[uint8]bool{{2: true, 1: false}}),
	} {
		if hex.EncodeToString(got) != strings.ReplaceAll(want, " ", "") {
			t.Errorf("%x, want %s", got, want)
		}
	}
}
