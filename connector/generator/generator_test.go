// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package generator_test

import (
	"log/slog"
	"strconv"
	"testing"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/connectortest"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/element"
)

type row struct{ N, Square int64 }

func square(i int64, out *row) { out.N, out.Square = i, i*i }

func rows(n int64) []row {
	all := make([]row, n)
	for i := range all {
		square(int64(i), &all[i])
	}
	return all
}

func TestSource(t *testing.T) {
	for name, test := range map[string]struct {
		src  generator.Source[row]
		want []row
	}{
		"bounded":   {generator.New(square).Limit(2500), rows(2500)},
		"unbounded": {generator.New(square), rows(300)},
		"slice":     {generator.Slice(rows(50)...), rows(50)},
		"rate":      {generator.New(square).Limit(1500).Rate(10_000), rows(1500)},
		"empty":     {generator.Slice[row](), nil},
	} {
		t.Run(name, func(t *testing.T) {
			connectortest.Source(t, connectortest.SourceConfig[row, generator.Split, generator.Progress]{
				New:  func(*testing.T) connector.Source[row, generator.Split, generator.Progress] { return test.src },
				Want: test.want,
				Key:  func(in *row) string { return strconv.FormatInt(in.N^in.Square<<20, 10) },
			})
		})
	}
}

// TestSplitsDependOnTheLimitOnly lists the ranges that any number of readers are given.
func TestSplitsDependOnTheLimitOnly(t *testing.T) {
	for limit, want := range map[int64]struct {
		splits int
		first  int64
	}{0: {0, 0}, 1: {1, 1}, 1024: {1, 1024}, 1025: {2, 1024}, 1e6: {128, 7813}, 1e10: {2385, 1 << 22}} {
		for _, readers := range []int{1, 3} {
			to := &assigned{readers: readers}
			e, err := generator.New(square).Limit(limit).NewEnumerator(t.Context(), to, nil)
			if err != nil {
				t.Fatal(err)
			}
			for n := 0; to.ended < readers; n++ {
				if err := e.ReaderReady(n % readers); err != nil {
					t.Fatal(err)
				}
			}
			next := int64(0)
			for _, s := range to.splits {
				if s.From != next || s.Next != s.From || s.Step != 1 {
					t.Fatalf("limit %d: split %+v behind %d", limit, s, next)
				}
				next = s.To
			}
			if next != limit || len(to.splits) != want.splits || limit > 0 && to.splits[0].To != want.first {
				t.Errorf("limit %d, %d readers: %d splits to %d: %+v", limit, readers, len(to.splits), next, to.splits[:min(1, len(to.splits))])
			}
		}
	}
}

// assigned takes what an enumerator assigns.
type assigned struct {
	readers, ended int
	splits         []generator.Split
}

func (a *assigned) Readers() []int                          { return []int{0, 1, 2}[:a.readers] }
func (a *assigned) Assign(_ int, splits ...generator.Split) { a.splits = append(a.splits, splits...) }
func (a *assigned) NoMoreSplits(int)                        { a.ended++ }
func (a *assigned) Fail(err error)                          { panic(err) }
func (a *assigned) Logger() *slog.Logger                    { return slog.New(slog.DiscardHandler) }

// TestPollAllocatesNothing counts allocations of a steady reader, beside a column of times too.
func TestPollAllocatesNothing(t *testing.T) {
	r, err := generator.New(square).NewReader(t.Context(), connectortest.NewRuntime(0, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Add([]generator.Split{{To: 1 << 60, Step: 1}}); err != nil {
		t.Fatal(err)
	}
	b := element.NewBatch[row](element.MaxRows)
	b.Timed()
	if n := testing.AllocsPerRun(100, func() {
		b.Reset()
		if _, err := r.Poll(b); err != nil || b.Len() != element.MaxRows || b.Times()[element.MaxRows-1] != element.NoTime {
			t.Fatal(err, b.Len())
		}
	}); n > 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

func BenchmarkPoll(b *testing.B) {
	r, err := generator.New(square).NewReader(b.Context(), connectortest.NewRuntime(0, 1, 1))
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Add([]generator.Split{{To: 1 << 60, Step: 1}}); err != nil {
		b.Fatal(err)
	}
	batch := element.NewBatch[row](element.MaxRows)
	for b.Loop() {
		batch.Reset()
		if _, err := r.Poll(batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/element.MaxRows, "ns/record")
}

// BenchmarkLoop is the reference for BenchmarkPoll: the same calls by hand.
func BenchmarkLoop(b *testing.B) {
	fill := square
	rows := make([]row, element.MaxRows)
	i := int64(0)
	for b.Loop() {
		for k := range rows {
			rows[k] = row{}
			fill(i, &rows[k])
			i++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/element.MaxRows, "ns/record")
}
