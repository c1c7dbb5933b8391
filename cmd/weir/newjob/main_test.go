// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"

	"github.com/weir-stream/weir/streamtest"
)

func TestCounts(t *testing.T) {
	out := streamtest.Collect[Count]("out")
	streamtest.Run(t, build, streamtest.Source("lines", "The end", "the start"), out)
	got := out.Rows()
	for _, want := range []Count{{"the", 2}, {"end", 1}, {"start", 1}} {
		if !slices.Contains(got, want) {
			t.Errorf("%v lacks %v", got, want)
		}
	}
}
