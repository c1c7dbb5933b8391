// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package keys

import (
	"fmt"
	"hash/maphash"
	"testing"
)

func benchHash[K comparable](b *testing.B, keys []K) {
	h, err := HasherFor[K]()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("weir", func(b *testing.B) {
		sum := uint64(0)
		for b.Loop() {
			for i := range keys {
				sum += h(&keys[i])
			}
		}
		report(b, len(keys), sum)
	})
	b.Run("column", func(b *testing.B) {
		column, err := ColumnHasherFor(func(k *K) K { return *k })
		if err != nil {
			b.Fatal(err)
		}
		hashes := make([]uint64, len(keys))
		for b.Loop() {
			column(keys, hashes)
		}
		report(b, len(keys), hashes[0])
	})
	b.Run("maphash", func(b *testing.B) {
		seed, sum := maphash.MakeSeed(), uint64(0)
		for b.Loop() {
			for i := range keys {
				sum += maphash.Comparable(seed, keys[i])
			}
		}
		report(b, len(keys), sum)
	})
}

func report(b *testing.B, keys int, sum uint64) {
	if sum == 1 { // the sum must be used
		b.Log(sum)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(keys), "ns/key")
}

func BenchmarkInt64(b *testing.B) {
	keys := make([]int64, 1000)
	for i := range keys {
		keys[i] = int64(i)
	}
	benchHash(b, keys)
}

func BenchmarkString16(b *testing.B) {
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprintf("user-%011d", i)
	}
	benchHash(b, keys)
}

func BenchmarkStruct(b *testing.B) {
	keys := make([]route, 1000)
	for i := range keys {
		keys[i] = route{From: fmt.Sprint(i), To: "OPO"}
	}
	benchHash(b, keys)
}
