// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package print_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/connectortest"
	printer "github.com/weir-stream/weir/connector/print"
	"github.com/weir-stream/weir/element"
)

// TestSink reads the lines back; their prefix tells the subtask.
func TestSink(t *testing.T) {
	connectortest.Sink(t, connectortest.SinkConfig[string, connector.None, connector.None]{
		New: func(*testing.T) connectortest.Place[string, connector.None, connector.None] {
			var out bytes.Buffer
			return connectortest.Place[string, connector.None, connector.None]{
				Sink: printer.New[string]().To(&out),
				Visible: func() []string {
					var rows []string
					for line := range strings.Lines(out.String()) {
						_, row, found := strings.Cut(strings.TrimSuffix(line, "\n"), "> ")
						if !found {
							row = strings.TrimSuffix(line, "\n")
						}
						rows = append(rows, row)
					}
					return rows
				},
			}
		},
		Row: func(i int) string { return strings.Repeat("x", i) },
	})
}

type pair struct {
	Word  string
	Count int
}

// calls is a writer that is safe for one caller at a time only, and keeps each call.
type calls struct {
	busy sync.Mutex
	all  []string
	fail error
}

func (c *calls) Write(p []byte) (int, error) {
	if !c.busy.TryLock() {
		return 0, errors.New("calls overlap")
	}
	defer c.busy.Unlock()
	c.all = append(c.all, string(p))
	return len(p), c.fail
}

func TestBatchIsOneCallOfWholeLines(t *testing.T) {
	var out calls
	sink := printer.New[pair]().To(&out)
	var wg sync.WaitGroup
	for i := range 4 {
		w, err := sink.NewWriter(t.Context(), connectortest.NewRuntime(i, 4, 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for range 50 {
				b := element.NewBatch[pair](2)
				*b.Append() = pair{"weir", i}
				*b.Append() = pair{"dam", i}
				if err := w.Write(t.Context(), b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	count := map[string]int{}
	for _, call := range out.all {
		count[call]++
	}
	if n := count["3> {Word:weir Count:2}\n3> {Word:dam Count:2}\n"]; n != 50 || len(count) != 4 {
		t.Errorf("calls: %v", count)
	}
}

func TestOneSubtaskHasNoPrefixAndErrorsShow(t *testing.T) {
	out := calls{fail: errors.New("pipe closed")}
	w, err := printer.New[pair]().To(&out).NewWriter(t.Context(), connectortest.NewRuntime(0, 1, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	b := element.NewBatch[pair](1)
	b.Append().Word = "weir"
	if err := w.Write(t.Context(), b); !errors.Is(err, out.fail) {
		t.Errorf("write: %v", err)
	}
	if out.all[0] != "{Word:weir Count:0}\n" {
		t.Errorf("printed %q", out.all[0])
	}
}
