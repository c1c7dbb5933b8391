// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// bid is a record of Nexmark, about 176 bytes when encoded.
type bid struct {
	Auction, Bidder, Price int64
	Channel, URL           string
	At                     int64
	Extra                  string
}

const benchRows = 800 // 64 KB of bids

func bids(n int) []bid {
	rows := make([]bid, n)
	g := newGenerator(7)
	for i := range rows {
		rows[i] = bid{
			Auction: 1000 + g.Int64N(50_000), Bidder: 1000 + g.Int64N(100_000), Price: 100 + g.Int64N(10_000_000),
			Channel: strings.Repeat("c", 6+g.IntN(8)), URL: strings.Repeat("u", 50+g.IntN(20)),
			At: 1_700_000_000_000 + int64(i)*3, Extra: strings.Repeat("x", 70+g.IntN(30)),
		}
	}
	return rows
}

// handAppend is what one would write by hand: records one behind the other, fixed width, room made once.
func handAppend(dst []byte, rows []bid) []byte {
	size := 0
	for i := range rows {
		size += 32 + 12 + len(rows[i].Channel) + len(rows[i].URL) + len(rows[i].Extra)
	}
	start := len(dst)
	dst = slices.Grow(dst, size)[:start+size]
	out := dst[start:]
	for i := range rows {
		r := &rows[i]
		binary.LittleEndian.PutUint64(out, uint64(r.Auction))
		binary.LittleEndian.PutUint64(out[8:], uint64(r.Bidder))
		binary.LittleEndian.PutUint64(out[16:], uint64(r.Price))
		binary.LittleEndian.PutUint64(out[24:], uint64(r.At))
		out = handString(handString(handString(out[32:], r.Channel), r.URL), r.Extra)
	}
	return dst
}

func handString(out []byte, s string) []byte {
	binary.LittleEndian.PutUint32(out, uint32(len(s)))
	return out[4+copy(out[4:], s):]
}

func handDecode(src []byte, rows []bid) {
	for i := range rows {
		r := &rows[i]
		r.Auction = int64(binary.LittleEndian.Uint64(src))
		r.Bidder = int64(binary.LittleEndian.Uint64(src[8:]))
		r.Price = int64(binary.LittleEndian.Uint64(src[16:]))
		r.At = int64(binary.LittleEndian.Uint64(src[24:]))
		src = src[32:]
		for _, s := range [...]*string{&r.Channel, &r.URL, &r.Extra} {
			size := binary.LittleEndian.Uint32(src)
			part := src[4 : 4+size]
			*s = unsafe.String(unsafe.SliceData(part), len(part))
			src = src[4+size:]
		}
	}
}

func perRow(b *testing.B, rows, bytes int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
	b.ReportMetric(float64(bytes)/float64(rows), "B/row")
	b.ReportAllocs()
}

func BenchmarkBidAppend(b *testing.B) {
	rows := bids(benchRows)
	b.Run("codec", func(b *testing.B) {
		c := must(For[bid]())
		dst := c.Append(nil, rows)
		for b.Loop() {
			dst = c.Append(dst[:0], rows)
		}
		perRow(b, len(rows), len(dst))
	})
	b.Run("hand", func(b *testing.B) {
		dst := handAppend(nil, rows)
		for b.Loop() {
			dst = handAppend(dst[:0], rows)
		}
		perRow(b, len(rows), len(dst))
	})
	b.Run("gob", func(b *testing.B) {
		var dst bytes.Buffer
		e := gob.NewEncoder(&dst)
		for b.Loop() {
			dst.Reset()
			for i := range rows {
				if err := e.Encode(&rows[i]); err != nil {
					b.Fatal(err)
				}
			}
		}
		perRow(b, len(rows), dst.Len())
	})
}

func BenchmarkBidDecode(b *testing.B) {
	rows, out := bids(benchRows), make([]bid, benchRows)
	for _, mode := range []Strings{Borrowed, Owned} {
		b.Run(map[Strings]string{Borrowed: "codec borrowed", Owned: "codec owned"}[mode], func(b *testing.B) {
			c := must(For[bid]())
			src := c.Append(nil, rows)
			for b.Loop() {
				if _, err := c.Decode(src, out, mode); err != nil {
					b.Fatal(err)
				}
			}
			perRow(b, len(rows), len(src))
		})
	}
	b.Run("hand borrowed", func(b *testing.B) {
		src := handAppend(nil, rows)
		for b.Loop() {
			handDecode(src, out)
		}
		perRow(b, len(rows), len(src))
	})
	b.Run("hand owned", func(b *testing.B) {
		src := handAppend(nil, rows)
		for b.Loop() {
			handDecode(bytes.Clone(src), out)
		}
		perRow(b, len(rows), len(src))
	})
	b.Run("gob", func(b *testing.B) {
		var src bytes.Buffer
		e := gob.NewEncoder(&src)
		for i := range rows {
			if err := e.Encode(&rows[i]); err != nil {
				b.Fatal(err)
			}
		}
		data := src.Bytes()
		for b.Loop() {
			d := gob.NewDecoder(bytes.NewReader(data))
			for i := range out {
				out[i] = bid{}
				if err := d.Decode(&out[i]); err != nil {
					b.Fatal(err)
				}
			}
		}
		perRow(b, len(rows), len(data))
	})
}

// BenchmarkNested is a record with lists, a map and an optional part.
func BenchmarkNested(b *testing.B) {
	type order struct {
		ID    int64
		Lines []struct {
			Item  int64
			Count int32
		}
		Tags map[string]int64
		Note *string
	}
	note := "leave at the door"
	rows, out := make([]order, 200), make([]order, 200)
	for i := range rows {
		rows[i] = order{ID: int64(i), Tags: map[string]int64{"prio": 1, "zone": int64(i)}}
		for k := range int64(i % 5) {
			rows[i].Lines = append(rows[i].Lines, struct {
				Item  int64
				Count int32
			}{k * 100, 1})
		}
		if i%3 == 0 {
			rows[i].Note = &note
		}
	}
	c := must(For[order]())
	src := c.Append(nil, rows)
	b.Run("append codec", func(b *testing.B) {
		for b.Loop() {
			src = c.Append(src[:0], rows)
		}
		perRow(b, len(rows), len(src))
	})
	b.Run("decode codec", func(b *testing.B) {
		for b.Loop() {
			if _, err := c.Decode(src, out, Owned); err != nil {
				b.Fatal(err)
			}
		}
		perRow(b, len(rows), len(src))
	})
	b.Run("append gob", func(b *testing.B) {
		var dst bytes.Buffer
		e := gob.NewEncoder(&dst)
		for b.Loop() {
			dst.Reset()
			if err := e.Encode(rows); err != nil {
				b.Fatal(err)
			}
		}
		perRow(b, len(rows), dst.Len())
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
