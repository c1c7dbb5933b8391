// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package element

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// TestOutSendsWhatIsEmitted swaps the storage of some batches, as an exchange does, and leaves others.
func TestOutSendsWhatIsEmitted(t *testing.T) {
	for _, limit := range []int{0, 1, 3, 100} {
		var rows []int
		var times []int64
		var kept []*Batch[int]
		out := NewOut(limit, func(b *Batch[int]) error {
			if b.Len() > max(1, limit) {
				t.Fatalf("batch of %d rows, limit %d", b.Len(), limit)
			}
			rows = append(rows, b.Rows()...)
			times = append(times, b.Times()...)
			if len(kept)%2 == 0 {
				own := NewBatch[int](limit)
				own.Swap(b)
				kept = append(kept, own)
			}
			return nil
		})
		var wantRows []int
		var wantTimes []int64
		for i := range 20 {
			at := int64(NoTime)
			if i > 5 {
				at = int64(i)
				out.At(at)
			}
			switch i % 3 {
			case 0:
				out.Emit(i)
			case 1:
				r := out.Next()
				if *r != 0 {
					t.Fatalf("next row holds %d", *r)
				}
				*r = i
			case 2:
				out.EmitAt(i, time.Unix(0, 99))
				at = 99
			}
			wantRows, wantTimes = append(wantRows, i), append(wantTimes, at)
			if i == 10 {
				if err := out.Flush(); err != nil || out.Pending() != 0 || len(rows) != 11 {
					t.Fatalf("flush left %d of %d rows, %v", out.Pending(), len(rows), err)
				}
			}
		}
		if err := out.Flush(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(rows, wantRows) || !slices.Equal(times, wantTimes) {
			t.Fatalf("limit %d: got %v at %v", limit, rows, times)
		}
		i := 0
		for _, b := range kept {
			for _, r := range b.Rows() {
				if !slices.Contains(wantRows[i:], r) {
					t.Fatalf("kept batch was overwritten: %v", b.Rows())
				}
			}
		}
	}
}

func TestOutKeepsTheFirstErrorUntilFlush(t *testing.T) {
	broken := errors.New("broken")
	sends := 0
	out := NewOut(1, func(*Batch[int]) error {
		sends++
		return broken
	})
	for i := range 5 {
		out.Emit(i)
	}
	if err := out.Flush(); !errors.Is(err, broken) || sends != 1 {
		t.Fatalf("%d sends, flush returned %v", sends, err)
	}
	if err := out.Flush(); err != nil {
		t.Fatalf("second flush returned %v", err)
	}
	out.Emit(1)
	if err := out.Flush(); !errors.Is(err, broken) || sends != 2 {
		t.Fatalf("%d sends, flush returned %v", sends, err)
	}
}

func TestControlHasNames(t *testing.T) {
	for k := range EndOfInput + 1 {
		if k.String() == "" {
			t.Errorf("kind %d has no name", k)
		}
	}
	if got := (EndOfInput + 1).String(); got != "kind(6)" {
		t.Errorf("unknown kind is %q", got)
	}
	f := Savepoint | Terminal
	if !f.Has(Savepoint) || !f.Has(Savepoint|Terminal) || f.Has(Savepoint|Full) {
		t.Error("flags")
	}
}

func BenchmarkEmit(b *testing.B) {
	sum := int64(0)
	out := NewOut(MaxRows, func(batch *Batch[[3]int64]) error {
		sum += int64(batch.Len())
		return nil
	})
	b.ReportAllocs()
	i := int64(0)
	for b.Loop() {
		i++
		out.Emit([3]int64{i, i, i})
	}
}

func BenchmarkNext(b *testing.B) {
	out := NewOut(MaxRows, func(*Batch[[10]int64]) error { return nil })
	b.ReportAllocs()
	for b.Loop() {
		out.Next()[3] = 1
	}
}
