// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"maps"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/ttl"
)

func TestValueTellsZeroFromAbsent(t *testing.T) {
	t.Parallel()
	var v Value[int]
	if _, ok := v.Get(); ok {
		t.Fatal("zero Value is there")
	}
	v.Set(0)
	if x, ok := v.Get(); x != 0 || !ok {
		t.Fatalf("after Set(0): %d, %v", x, ok)
	}
	if !v.TakeWritten() || v.TakeWritten() {
		t.Fatal("a write is told exactly once")
	}
	v.Set(7)
	v.Clear()
	if x, ok := v.Get(); x != 0 || ok {
		t.Fatalf("after Clear: %d, %v", x, ok)
	}
	if !v.TakeWritten() {
		t.Fatal("Clear is a write")
	}
}

func TestListMatchesSlice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var l List[int]
		var want []int
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				v := rapid.Int().Draw(t, "v")
				l.Append(v)
				want = append(want, v)
			},
			"set": func(t *rapid.T) {
				if len(want) > 0 {
					i := rapid.IntRange(0, len(want)-1).Draw(t, "i")
					*l.At(i) = 5
					want[i] = 5
				}
			},
			"delete": func(t *rapid.T) {
				odd := func(v *int) bool { return *v&1 == 1 }
				l.DeleteFunc(odd)
				want = slices.DeleteFunc(want, func(v int) bool { return odd(&v) })
			},
			"insert": func(t *rapid.T) {
				i, v := rapid.IntRange(0, len(want)).Draw(t, "i"), rapid.Int().Draw(t, "v")
				l.Insert(i, v)
				want = slices.Insert(want, i, v)
			},
			"truncate": func(t *rapid.T) {
				n := rapid.IntRange(0, len(want)).Draw(t, "n")
				l.Truncate(n)
				want = want[:n]
			},
			"grow": func(t *rapid.T) {
				n := rapid.IntRange(0, 9).Draw(t, "n")
				l.Grow(n)
				if room := cap(l.items) - len(l.items); room < n {
					t.Fatalf("room for %d, want %d", room, n)
				}
			},
			"clear": func(*rapid.T) { l.Clear(); want = nil },
			"": func(t *rapid.T) {
				var got []int
				for v := range l.All() {
					got = append(got, *v)
				}
				if !slices.Equal(got, want) || l.Len() != len(want) {
					t.Fatalf("got %v, want %v", got, want)
				}
			},
		})
	})
}

func TestListRefusesPlacesBeyond(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(l *List[int]){
		"insert":          func(l *List[int]) { l.Insert(3, 0) },
		"insert below":    func(l *List[int]) { l.Insert(-1, 0) },
		"truncate":        func(l *List[int]) { l.Truncate(3) },
		"at":              func(l *List[int]) { l.At(2) },
		"truncate in cap": func(l *List[int]) { l.Grow(10); l.Truncate(3) },
	} {
		func() {
			var l List[int]
			l.Append(1)
			l.Append(2)
			defer func() {
				if recover() == nil || l.Len() != 2 {
					t.Errorf("%s: no panic, or changed: %d elements", name, l.Len())
				}
			}()
			f(&l)
		}()
	}
}

// TestLongListsDouble counts how often elements are copied.
func TestLongListsDouble(t *testing.T) {
	t.Parallel()
	var l List[[13]int64]
	copied, room := 0, -1
	const n = 8000
	for range n {
		l.Append([13]int64{})
		if cap(l.items) != room {
			copied += l.Len()
			room = cap(l.items)
		}
	}
	if copied > 2*n+n/2 || room > 2*n+n/2 {
		t.Errorf("%d elements were copied %d times, and have room for %d", n, copied, room)
	}
}

// key is a struct, so that keys go through every kind of comparison; order is what All promises.
type key struct {
	A bool
	B int8
	C string
	D [2]uint16
}

func order(a, b key) int {
	bit := map[bool]int{true: 1}
	return cmp.Or(cmp.Compare(bit[a.A], bit[b.A]), cmp.Compare(a.B, b.B), cmp.Compare(a.C, b.C), slices.Compare(a.D[:], b.D[:]))
}

func TestMapMatchesMap(t *testing.T) {
	t.Parallel()
	keys := rapid.Custom(func(t *rapid.T) key {
		return key{
			A: rapid.Bool().Draw(t, "a"), B: int8(rapid.IntRange(-2, 2).Draw(t, "b")),
			C: rapid.SampledFrom([]string{"", "x", "xy"}).Draw(t, "c"), D: [2]uint16{0, uint16(rapid.IntRange(0, 1).Draw(t, "d"))},
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		var m Map[key, int]
		want := map[key]int{}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				for _, k := range rapid.SliceOfN(keys, 1, 12).Draw(t, "keys") {
					m.Put(k, len(want))
					want[k] = len(want)
				}
			},
			"at":     func(t *rapid.T) { k := keys.Draw(t, "key"); *m.At(k) += 3; want[k] += 3 },
			"delete": func(t *rapid.T) { k := keys.Draw(t, "key"); m.Delete(k); delete(want, k) },
			"clear":  func(*rapid.T) { m.Clear(); clear(want) },
			"round trip": func(t *rapid.T) {
				m = roundTrip(t, m)
			},
			"delete while iterating": func(t *rapid.T) {
				mod, stop, back := rapid.IntRange(1, 4).Draw(t, "mod"), rapid.IntRange(0, 80).Draw(t, "stop"), rapid.Bool().Draw(t, "back")
				n := 0
				for k, v := range m.All() {
					if *v%mod == 0 {
						m.Delete(k)
						if _, ok := m.Get(k); ok {
							t.Fatal("deleted, and there")
						}
						delete(want, k)
						if back {
							m.Put(k, *v+1)
							want[k] = 1
						}
					}
					if m.Len() != len(want) {
						t.Fatalf("Len %d, want %d", m.Len(), len(want))
					}
					if n++; n > stop {
						break
					}
				}
			},
			"": func(t *rapid.T) { compareMap(t, &m, want) },
		})
	})
}

func compareMap(t *rapid.T, m *Map[key, int], want map[key]int) {
	got := map[key]int{}
	var sequence []key
	for k, v := range m.All() {
		got[k] = *v
		sequence = append(sequence, k)
	}
	if !maps.Equal(got, want) || m.Len() != len(want) {
		t.Fatal(gocmp.Diff(want, got))
	}
	if !slices.IsSortedFunc(sequence, order) {
		t.Fatalf("not ascending: %v", sequence)
	}
	for k, v := range want {
		if x, ok := m.Get(k); x != v || !ok {
			t.Fatalf("Get(%v) = %d, %v, want %d", k, x, ok, v)
		}
	}
}

// roundTrip encodes and decodes, by which all that is derived is lost.
func roundTrip[T any](t interface{ Fatal(...any) }, v T) T {
	c, err := codec.For[T]()
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]T, 1)
	if _, err := c.Decode(c.Append(nil, []T{v}), rows, codec.Owned); err != nil {
		t.Fatal(err)
	}
	return rows[0]
}

func TestMapDeletesAnyWhileIterating(t *testing.T) {
	t.Parallel()
	var m Map[int64, int]
	for i := range int64(40) {
		m.Put(39-i, int(i))
	}
	var seen []int64
	for k := range m.All() {
		seen = append(seen, k)
		m.Delete(k + 1) // the next one
		if k == 10 {
			m.Put(1000, 1) // not yielded
		}
	}
	want := []int64{}
	for i := int64(0); i < 40; i += 2 {
		want = append(want, i)
	}
	if !slices.Equal(seen, want) {
		t.Fatalf("saw %v, want %v", seen, want)
	}
	if m.Len() != 21 {
		t.Fatalf("Len %d, want 21", m.Len())
	}
	for range m.All() {
		m.Clear()
	}
	if m.Len() != 0 {
		t.Fatalf("Len %d after Clear while iterating", m.Len())
	}
}

func TestElementsExpireOnTheirOwn(t *testing.T) {
	t.Parallel()
	c := &ttl.Clock{Now: 100, TTL: 10}
	var l List[string]
	var m Map[string, int]
	at := func(now int64) { c.Now = now; l.Expire(c); m.Expire(c) }

	at(100)
	l.Append("a")
	m.Put("a", 1)
	at(105)
	l.Append("b")
	m.Put("b", 2)
	l = roundTrip(t, l)
	m = roundTrip(t, m)
	at(109)
	_ = *l.At(0) // a read doesn't renew
	if _, ok := m.Get("a"); !ok || l.Len() != 2 {
		t.Fatal("expired a moment too early")
	}
	*m.At("b")++ // a write does
	at(110)
	if _, ok := m.Get("a"); ok || l.Len() != 1 || *l.At(0) != "b" {
		t.Fatalf("at 110: list of %d, a in the map %v", l.Len(), ok)
	}
	l.Insert(0, "before")
	l.Append("gone")
	l.Truncate(2)
	at(115)
	if l.Len() != 1 || *l.At(0) != "before" || m.Len() != 1 {
		t.Fatalf("at 115: %d and %d elements, want what was inserted at 110", l.Len(), m.Len())
	}
	l.Truncate(0)
	at(115)
	if l.Len() != 0 || m.Len() != 1 {
		t.Fatalf("at 115: %d and %d elements, want 0 and 1", l.Len(), m.Len())
	}
	at(119)
	if m.Len() != 0 {
		t.Fatal("b outlived its time")
	}
}

func TestReadsRenewWhereAskedTo(t *testing.T) {
	t.Parallel()
	c := &ttl.Clock{TTL: 10, OnRead: true}
	var l List[int]
	var m Map[int, int]
	at := func(now int64) { c.Now = now; l.Expire(c); m.Expire(c) }
	at(0)
	l.Append(1)
	l.Append(2)
	m.Put(1, 1)
	m.Put(2, 2)
	at(9)
	_ = l.At(1)
	m.Get(2)
	at(18)
	if l.Len() != 1 || *l.At(0) != 2 || m.Len() != 1 {
		t.Fatalf("%d and %d elements are left, want the one that was read", l.Len(), m.Len())
	}
	for range m.All() {
	}
	at(27)
	if l.Len() != 1 || m.Len() != 1 {
		t.Fatal("At and All are reads")
	}
}

// Elements stored before the field had a time to live begin to live when they are first seen.
func TestElementsWithoutTimesLiveFromNow(t *testing.T) {
	t.Parallel()
	var l List[int]
	l.Append(1)
	c := &ttl.Clock{Now: 1000, TTL: 10}
	l.Expire(c)
	c.Now = 1009
	l.Expire(c)
	if l.Len() != 1 {
		t.Fatal("expired at once")
	}
	c.Now = 1010
	l.Expire(c)
	if l.Len() != 0 {
		t.Fatal("never expires")
	}
}
