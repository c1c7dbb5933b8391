// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package keys

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
	"testing"
	"unsafe"
)

type id int64

type pair struct {
	Flag bool // padding follows: seven bytes, or three on machines of 32 bits
	N    int64
}

type route struct {
	From, To string
	Leg      [2]uint8
}

// hash returns the hash of a key, which must be that of the key in a column too.
func hash[K comparable](t testing.TB, k K) uint64 {
	t.Helper()
	h, err := HasherFor[K]()
	if err != nil {
		t.Fatal(err)
	}
	column, err := ColumnHasherFor(func(in *K) K { return *in })
	if err != nil {
		t.Fatal(err)
	}
	var other K
	hashes := make([]uint64, 2)
	if column([]K{k, other}, hashes); hashes[0] != h(&k) || hashes[1] != h(&other) {
		t.Errorf("keys %v and %v in a column: %#x, alone %#x, %#x", k, other, hashes, h(&k), h(&other))
	}
	return h(&k)
}

func text(size int) string { return strings.Repeat("0123456789abcdef", size/16+1)[:size] }

// TestGoldenHashes has the values that stored state relies on. None of them may ever change.
func TestGoldenHashes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		hash  uint64
		want  uint64
		group int // of 128
	}{
		{"0", hash(t, 0), 0xe86f685884adb506, 116},
		{"1", hash(t, 1), 0x620e4e6b8a74a191, 49},
		{"-1", hash(t, int32(-1)), 0x0970f72fdf41820c, 4},
		{"max", hash(t, uint64(math.MaxUint64)), 0x0970f72fdf41820c, 4},
		{"false", hash(t, false), 0xe86f685884adb506, 116},
		{"true", hash(t, true), 0x620e4e6b8a74a191, 49},
		{"1 byte", hash(t, text(1)), 0x18b65be3606f3dea, 12},
		{"empty", hash(t, ""), 0x272d8f14bd2ed468, 19},
		{"3 bytes", hash(t, text(3)), 0x1fd814fb7d524793, 15},
		{"4 bytes", hash(t, text(4)), 0x381c64e7680b7fc2, 28},
		{"8 bytes", hash(t, text(8)), 0x8421e1f97e736a17, 66},
		{"16 bytes", hash(t, text(16)), 0xea53454fdaf66a89, 117},
		{"17 bytes", hash(t, text(17)), 0xb60fe37d6ea48a91, 91},
		{"100 bytes", hash(t, text(100)), 0x028f63af8710cd95, 1},
		{"pair", hash(t, pair{true, 7}), 0x4c927cce92e89e06, 38},
		{"route", hash(t, route{"LIS", "OPO", [2]uint8{1, 2}}), 0x5b38539c30caa388, 45},
		{"no leaves", hash(t, struct{}{}), 0x6a09e667f3bcc909, 53},
		{"array", hash(t, [3]int16{1, -2, 3}), 0x471b4dbf4c074c42, 35},
	} {
		group, _ := Group(tc.hash, 128)
		if tc.hash != tc.want || group != tc.group {
			t.Errorf("{%q, %#016x, %d},", tc.name, tc.hash, group)
		}
	}
}

func TestEqualValuesOfOtherTypesHashAlike(t *testing.T) {
	t.Parallel()
	want := hash(t, int64(-7))
	for name, got := range map[string]uint64{
		"named":  hash(t, id(-7)),
		"int":    hash(t, -7),
		"int8":   hash(t, int8(-7)),
		"int16":  hash(t, int16(-7)),
		"int32":  hash(t, int32(-7)),
		"struct": hash(t, struct{ ID int16 }{-7}),
		"array":  hash(t, [1]id{-7}),
		"blank": hash(t, struct {
			_ int32
			A int
		}{A: -7}),
	} {
		if got != want {
			t.Errorf("%s: hash %#x, of int64 %#x", name, got, want)
		}
	}
	if hash(t, uint8(200)) != hash(t, 200) || hash(t, uint16(200)) != hash(t, uint32(200)) || hash(t, uint64(200)) != hash(t, 200) {
		t.Error("unsigned integers hash by another rule")
	}
	for _, size := range []int{0, 2, 7, 16} {
		if a, b := hash(t, text(size)), hashString(text(size)); a != b {
			t.Errorf("%d bytes: %#x and %#x", size, a, b)
		}
	}
	if a, b := hash(t, text(16)), hash(t, [16]byte([]byte(text(16)))); a != b {
		t.Errorf("string %#x, array of bytes %#x", a, b)
	}
	if a, b := hash(t, route{"a", "b", [2]uint8{}}), hash(t, [3]string{"a", "b", "\x00\x00"}); a != b {
		t.Errorf("nested leaves %#x, flat ones %#x", a, b)
	}
}

func TestDifferentKeysHashDifferently(t *testing.T) {
	t.Parallel()
	seen := map[uint64]string{}
	add := func(name string, h uint64) {
		if other, ok := seen[h]; ok {
			t.Errorf("%s and %s collide", name, other)
		}
		seen[h] = name
	}
	for size := range 200 {
		add(fmt.Sprint(size, " bytes"), hash(t, text(size)))
		add(fmt.Sprint(size, " zeros"), hash(t, strings.Repeat("\x00", size+1)))
		for i := range size {
			b := []byte(text(size))
			b[i] ^= 1
			add(fmt.Sprint(size, " bytes, changed at ", i), hash(t, string(b)))
		}
	}
	for a := range 50 {
		for b := range 50 {
			add(fmt.Sprint("array ", a, b), hash(t, [2]int{a, b}))
			add(fmt.Sprint("strings ", a, b), hash(t, [2]string{text(a), text(b)}))
		}
	}
}

func TestPaddingIsNotHashed(t *testing.T) {
	t.Parallel()
	h, err := HasherFor[pair]()
	if err != nil {
		t.Fatal(err)
	}
	a := pair{true, 1}
	b := a
	unsafe.Slice((*byte)(unsafe.Pointer(&b)), 4)[3] = 0xff
	if h(&a) != h(&b) {
		t.Error("equal keys, different hashes")
	}
}

// TestGroupsAreEven compares counts with those of a random hash: over 128 groups, chi-squared has mean 127 and standard
// deviation 16; 250 is nothing that chance brings about. Too even is fine.
func TestGroupsAreEven(t *testing.T) {
	t.Parallel()
	const n, groups = 100_000, 128
	for name, key := range map[string]func(i int) uint64{
		"sequential":   func(i int) uint64 { return hashUint(uint64(i)) },
		"times 1000":   func(i int) uint64 { return hashUint(uint64(i) * 1000) },
		"times 2^32":   func(i int) uint64 { return hashUint(uint64(i) << 32) },
		"negative":     func(i int) uint64 { return hashUint(-uint64(i)) },
		"reversed":     func(i int) uint64 { return hashUint(bits.Reverse64(uint64(i))) },
		"decimal":      func(i int) uint64 { return hashString(fmt.Sprint(i)) },
		"long strings": func(i int) uint64 { return hashString(fmt.Sprintf("https://weir.example/item/%d/view", i)) },
		"pairs":        func(i int) uint64 { return combine(combine(k0, hashUint(uint64(i%300))), hashUint(uint64(i/300))) },
		"millis":       func(i int) uint64 { return hashUint(1_700_000_000_000 + uint64(i)*60_000) },
		"fixed width":  func(i int) uint64 { return hashString(fmt.Sprintf("user-%011d", i)) },
		"little endian": func(i int) uint64 {
			return hashString(string([]byte{byte(i), byte(i >> 8), byte(i >> 16), 0, 0, 0, 0, 0}))
		},
		"sixteen binary": func(i int) uint64 {
			return hashString("01234567" + string([]byte{0, 0, 0, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)}))
		},
	} {
		var high, low, rests [groups]int
		for i := range n {
			h := key(i)
			group, rest := Group(h, groups)
			high[group]++
			low[h%groups]++
			rests[rest>>57]++
		}
		for part, counts := range map[string][groups]int{"group": high, "low bits": low, "rest": rests} {
			if chi := chiSquared(counts[:], n); chi > 250 {
				t.Errorf("%s, %s: chi-squared %.0f", name, part, chi)
			}
		}
	}
}

func chiSquared(counts []int, n int) (chi float64) {
	want := float64(n) / float64(len(counts))
	for _, c := range counts {
		chi += (float64(c) - want) * (float64(c) - want) / want
	}
	return chi
}

// TestEachBitTurnsHalfOfAll flips each bit of integers and of strings: each bit of the hash must turn about every other
// time. Of 4,000 tosses, 45 % to 55 % is more than six standard deviations to either side.
func TestEachBitTurnsHalfOfAll(t *testing.T) {
	t.Parallel()
	const samples = 4000
	for name, flip := range map[string]func(sample uint64, bit int) (a, b uint64){
		"sequential integers": func(v uint64, bit int) (a, b uint64) { return hashUint(v), hashUint(v ^ 1<<bit) },
		"strings": func(v uint64, bit int) (a, b uint64) {
			p := fmt.Appendf(nil, "%016d", v)
			a = hashString(string(p))
			p[bit/8] ^= 1 << (bit % 8)
			return a, hashString(string(p))
		},
	} {
		for bit := range 64 {
			var turned [64]int
			for v := range uint64(samples) {
				a, b := flip(v, bit)
				for d := a ^ b; d != 0; d &= d - 1 {
					turned[bits.TrailingZeros64(d)]++
				}
			}
			for out, n := range turned {
				if n < samples*45/100 || n > samples*55/100 {
					t.Errorf("%s: bit %d turns bit %d %d times of %d", name, bit, out, n, samples)
				}
			}
		}
	}
}

func TestGroup(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		h      uint64
		groups int
		group  int
		rest   uint64
	}{
		{0, 128, 0, 0},
		{math.MaxUint64, 128, 127, math.MaxUint64 - 127},
		{1 << 57, 128, 1, 0},
		{1<<57 - 1, 128, 0, math.MaxUint64 - 127},
		{1 << 63, 3, 1, 1 << 63},
		{math.MaxUint64, 1, 0, math.MaxUint64},
		{math.MaxUint64, 32768, 32767, math.MaxUint64 - 32767},
	} {
		if group, rest := Group(tc.h, tc.groups); group != tc.group || rest != tc.rest {
			t.Errorf("%#x in %d groups: %d, %#x", tc.h, tc.groups, group, rest)
		}
	}
}

func TestTypesThatMakeNoKeys(t *testing.T) {
	t.Parallel()
	for want, try := range map[string]func() error{
		"float64 (float64) is a floating-point number":                                compileError[float64],
		"place.Lat (float32) is a floating-point":                                     compileError[place],
		"place2.At[].Lat (float32)":                                                   compileError[place2],
		"[1]*int[] (*int) means another thing":                                        compileError[[1]*int],
		"owned.Any (interface {}) makes no key":                                       compileError[owned],
		"struct { C chan int }.C (chan int) means":                                    compileError[struct{ C chan int }],
		"hidden.B (int) isn't stored":                                                 compileError[hidden],
		"is past the 1024 parts":                                                      compileError[[2000]int],
		"pair[] (keys.pair) is past the 1024 parts that a key can have: use a string": compileError[[600]pair],
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func compileError[K comparable]() error {
	_, err := HasherFor[K]()
	if _, column := ColumnHasherFor(func(in *K) K { return *in }); column == nil || column.Error() != err.Error() {
		return fmt.Errorf("alone: %w, in a column: %w", err, column)
	}
	return err
}

type place struct {
	Name string
	Lat  float32
}

type place2 struct{ At [2]place }

type owned struct{ Any any }

type hidden struct {
	A int
	B int `weir:"-"`
}

func TestHashingDoesNotAllocate(t *testing.T) {
	h, err := HasherFor[route]()
	if err != nil {
		t.Fatal(err)
	}
	k := route{From: text(20), To: text(3)}
	if n := testing.AllocsPerRun(100, func() { h(&k) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	columnAllocatesNothing(t, k)
	columnAllocatesNothing(t, k.From)
	columnAllocatesNothing(t, int64(1))
	columnAllocatesNothing(t, int32(1))
}

func columnAllocatesNothing[K comparable](t *testing.T, k K) {
	t.Helper()
	column, err := ColumnHasherFor(func(in *K) K { return *in })
	if err != nil {
		t.Fatal(err)
	}
	rows, hashes := []K{k, k}, make([]uint64, 2)
	if n := testing.AllocsPerRun(100, func() { column(rows, hashes) }); n > 0 {
		t.Errorf("column of %T: %v allocations", k, n)
	}
}
