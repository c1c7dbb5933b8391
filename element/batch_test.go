// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package element

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/weir-stream/weir/internal/invariants"
)

// TestRowsFor holds the size of batches to its bounds: about 64 KB, and what is open at once in half of a cache.
func TestRowsFor(t *testing.T) {
	tests := []struct {
		name string
		got  int
		want int
	}{
		{"small", RowsFor[int64](1), MaxRows},
		{"80 bytes", RowsFor[[80]byte](1), 819},
		{"large", RowsFor[[64 << 10]byte](1), minRows},
		{"empty", RowsFor[struct{}](1), MaxRows},
		{"80 bytes to 64", RowsFor[[80]byte](64), 102},
		{"large to 1000", RowsFor[[64 << 10]byte](1000), 1},
		{"few targets", RowsFor[[80]byte](2), 819},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: %d rows, want %d", tt.name, tt.got, tt.want)
		}
	}
}

// TestBatchAgainstSlices does the same to a batch and to plain slices.
func TestBatchAgainstSlices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := NewBatch[int64](rapid.IntRange(0, 8).Draw(t, "limit"))
		var rows, times []int64
		var hashes []uint64
		timed, keyed := false, false
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			n := int64(len(rows) + 1)
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0:
				if keyed {
					continue // a keyed batch is complete
				}
				*b.Append() = n
				rows = append(rows, n)
				times = append(times, NoTime)
			case 1:
				if keyed {
					continue
				}
				*b.AppendAt(time.Unix(0, n)) = -n
				timed = true
				rows = append(rows, -n)
				times = append(times, n)
			case 2:
				b.Timed()
				timed = true
			case 3:
				h := b.Keyed()
				keyed = true
				for len(hashes) < len(rows) {
					hashes = append(hashes, uint64(len(hashes)))
				}
				copy(h, hashes)
			case 4:
				m := rapid.IntRange(0, len(rows)).Draw(t, "rows")
				b.Resize(m)
				rows, times = rows[:m], times[:m]
				hashes = hashes[:min(m, len(hashes))]
			case 5:
				o := NewBatch[int64](3)
				o.Swap(b)
				if b.Len() != 0 || b.Times() != nil || b.Hashes() != nil {
					t.Fatal("a batch swapped against an empty one isn't empty")
				}
				b.Swap(o)
			case 6:
				if rapid.IntRange(0, 3).Draw(t, "reset") > 0 {
					continue
				}
				b.Reset()
				rows, times, hashes = nil, nil, nil
				b.SetHashes(nil)
				keyed = false
			}
			if b.Len() != len(rows) || !slices.Equal(b.Rows(), rows) || b.Full() != (len(rows) >= b.Limit()) {
				t.Fatalf("rows %v, want %v", b.Rows(), rows)
			}
			if timed && !slices.Equal(b.Times(), times) || !timed && b.Times() != nil {
				t.Fatalf("times %v, want %v", b.Times(), times)
			}
			if keyed && !slices.Equal(b.Hashes(), hashes) || !keyed && b.Hashes() != nil {
				t.Fatalf("hashes %v, want %v", b.Hashes(), hashes)
			}
		}
	})
}

func TestAppendedRowsAreZero(t *testing.T) {
	b := NewBatch[int](2)
	*b.Append() = 7
	b.Reset()
	if r := b.Append(); *r != 0 {
		t.Fatalf("row holds %d", *r)
	}
}

func TestBatchComesHomeFromItsLastHolder(t *testing.T) {
	p := NewPool[int](4, 8)
	b := p.Get()
	*b.AppendNanos(5) = 1
	for range 9 {
		b.Hold()
	}
	if !b.Shared() {
		t.Fatal("held ten times and not shared")
	}
	var wg sync.WaitGroup
	for range 9 {
		wg.Go(b.Release)
	}
	wg.Wait()
	if b.Shared() || len(p.mu.free) != 0 {
		t.Fatal("batch went home with a holder left")
	}
	b.Release()
	if len(p.mu.free) != 1 {
		t.Fatal("batch did not come home")
	}
	if again := p.Get(); again != b || again.Len() != 0 || again.Shared() || len(again.Times()) != 0 {
		t.Fatalf("pool gave %+v", again)
	}
}

func TestPoolKeepsNoMoreThanItMay(t *testing.T) {
	p := NewPool[int](4, 2)
	batches := []*Batch[int]{p.Get(), p.Get(), p.Get()}
	for _, b := range batches {
		b.Release()
	}
	if n := len(p.mu.free); n != 2 {
		t.Fatalf("%d kept", n)
	}
}

func TestReturnedMemoryIsMangled(t *testing.T) {
	if !invariants.Enabled {
		t.Skip("memory is mangled in test builds")
	}
	b := NewPool[string](4, 1).Get()
	row := b.Append()
	*row = "kept beyond the call"
	b.Release()
	if *row != "" {
		t.Errorf("row of a returned batch is %q", *row)
	}
	var frames FramePool
	f := frames.Get(4)
	copy(f.Bytes(), "text")
	s := unsafe.String(&f.Bytes()[0], 4)
	f.Release()
	if s == "text" {
		t.Error("string in a returned frame is as it was")
	}
}

func TestFrameGoesWithTheRows(t *testing.T) {
	var frames FramePool
	f := frames.Get(3)
	b, o := NewPool[string](2, 1).Get(), NewPool[string](2, 1).Get()
	f.Hold()
	b.Borrow(f)
	o.Swap(b)
	if b.Borrowed() || !o.Borrowed() {
		t.Fatal("frame stayed where the rows were")
	}
	b.Release()
	if f.holds.Load() != 2 {
		t.Fatal("frame was given back by a batch that didn't borrow from it")
	}
	o.Hold()
	o.Release()
	if f.holds.Load() != 2 {
		t.Fatal("frame was given back while the batch has a holder")
	}
	o.Release()
	if f.holds.Load() != 1 {
		t.Fatal("batch kept the frame")
	}
	f.Release()
	if again := frames.Get(5); again != f {
		t.Fatal("frame did not come home")
	}
}

func TestFramePoolHasSizes(t *testing.T) {
	var frames FramePool
	for _, n := range []int{0, 1, 1023, 1024, 1025, 70_000, 1 << 20, 1<<20 + 1, 5 << 20} {
		f := frames.Get(n)
		if len(f.Bytes()) != n {
			t.Fatalf("frame of %d bytes, want %d", len(f.Bytes()), n)
		}
		f.Release()
		if g := frames.Get(n); g != f && n <= 1<<20 {
			t.Fatalf("frame of %d bytes did not come back", n)
		}
	}
	var held []*Frame
	for range 10 {
		held = append(held, frames.Get(1<<20))
	}
	for _, f := range held {
		f.Release()
	}
	if frames.mu.kept > frameKeepBytes {
		t.Fatalf("%d bytes kept", frames.mu.kept)
	}
	f := frames.Get(4)
	copy(f.Bytes(), "text")
	f.Grow(3000)
	if string(f.Bytes()[:4]) != "text" || len(f.Bytes()) != 3000 {
		t.Fatal("grown frame lost its content")
	}
}

func TestAssert(t *testing.T) {
	var a Any = NewBatch[int](1)
	if _, err := Assert[int](a); err != nil {
		t.Error(err)
	}
	if _, err := Assert[string](a); err == nil || !strings.Contains(err.Error(), "string") {
		t.Errorf("asserted a batch of other rows: %v", err)
	}
}

func BenchmarkAppend(b *testing.B) {
	batch := NewBatch[[3]int64](MaxRows)
	b.ReportAllocs()
	for b.Loop() {
		if batch.Full() {
			batch.Reset()
		}
		batch.AppendNanos(1)[0] = 1
	}
}

func BenchmarkPool(b *testing.B) {
	p := NewPool[int](MaxRows, 4)
	b.ReportAllocs()
	for b.Loop() {
		p.Get().Release()
	}
}

func TestLoanEndsWithItsFrame(t *testing.T) {
	var frames FramePool
	f := frames.Get(3)
	f.Hold()
	b := NewBatch[string](2)
	b.Borrow(f)
	loan := new(Loan)
	loan.Begin(b.TakeFrame())
	b.Release()
	if b.Borrowed() || len(loan.Memory()) != 3 || f.holds.Load() != 2 {
		t.Fatalf("%d bytes are lent, the frame has %d holders", len(loan.Memory()), f.holds.Load())
	}
	loan.End()
	if loan.Memory() != nil || f.holds.Load() != 1 {
		t.Fatal("the frame is lent still")
	}
	loan.Begin(NewBatch[string](2).TakeFrame())
	loan.End()
	if (*Loan)(nil).Memory() != nil {
		t.Fatal("no loan lends something")
	}
}
