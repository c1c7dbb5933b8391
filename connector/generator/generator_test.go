// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package generator_test

import (
	"strconv"
	"testing"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/connectortest"
	"github.com/weir-stream/weir/connector/generator"
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
