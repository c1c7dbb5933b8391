// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package connector_test

import (
	"context"
	"errors"
	"testing"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/connectortest"
	"github.com/weir-stream/weir/element"
)

func TestEachPassesTheSuite(t *testing.T) {
	connectortest.Sink(t, connectortest.SinkConfig[int, connector.None, connector.None]{
		New: func(*testing.T) connectortest.Place[int, connector.None, connector.None] {
			var rows []int
			return connectortest.Place[int, connector.None, connector.None]{
				Sink: connector.Each(func(_ context.Context, in *int) error {
					rows = append(rows, *in)
					return nil
				}),
				Visible: func() []int { return rows },
			}
		},
		Row: func(i int) int { return i },
	})
}

func TestEachStopsAtAnError(t *testing.T) {
	refused := errors.New("refused")
	var got []int
	sink := connector.Each(func(_ context.Context, in *int) error {
		got = append(got, *in)
		if *in == 2 {
			return refused
		}
		return nil
	})
	w, err := sink.NewWriter(t.Context(), connectortest.NewRuntime(0, 1, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	b := element.NewBatch[int](3)
	for i := range 3 {
		*b.Append() = i + 1
	}
	if err := w.Write(t.Context(), b); !errors.Is(err, refused) {
		t.Errorf("write: %v", err)
	}
	if len(got) != 2 {
		t.Errorf("called for %v, want the first two", got)
	}
}
