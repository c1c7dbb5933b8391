// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package keys

import "testing"

func TestEqualValuesOfOtherTypesHashAlike(t *testing.T) {
	t.Parallel()
	type id int64
	want := hash(t, int64(-7))
	for name, got := range map[string]uint64{
		"named":  hash(t, id(-7)),
		"int":    hash(t, -7),
		"int8":   hash(t, int8(-7)),
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
	if a, b := hash(t, "16 bytes of text"), hash(t, [16]byte([]byte("16 bytes of text"))); a != b {
		t.Errorf("string %#x, array of bytes %#x", a, b)
	}
}

func hash[K comparable](t testing.TB, k K) uint64 {
	t.Helper()
	h, err := HasherFor[K]()
	if err != nil {
		t.Fatal(err)
	}
	return h(&k)
}
