// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package outside

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/connectortest"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/streamtest"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// TestTemperatures tests the step by hand, the job whole with other connectors, and the job as it is.
func TestTemperatures(t *testing.T) {
	h := streamtest.New(t, alarms)
	h.Push(noon, Reading{"a", 20, noon}, Reading{"b", 35, noon})
	h.Restart(2)
	h.Push(noon.Add(time.Second), Reading{"a", 31, noon.Add(time.Second)}, Reading{"b", 36, noon.Add(time.Second)})
	want := []Alarm{{"a", 11, noon.Add(time.Second)}}
	if got := h.Take(); !slices.Equal(got, want) {
		t.Errorf("by hand: %v, want %v", got, want)
	}

	out := streamtest.Collect[Alarm]("journal")
	streamtest.Run(t, build, out, streamtest.Parallelism(2), streamtest.Kill("alarms", 1),
		streamtest.Source("readings", Reading{"a", 20, noon}, Reading{"b", 35, noon}, Reading{"a", 31, noon.Add(time.Second)}))
	if got := out.Rows(); !slices.Equal(got, want) {
		t.Errorf("whole: %v, want %v", got, want)
	}

	journal := &Journal[Reading]{}
	job, err := weir.Run(t.Context(), "readings", func(env *stream.Env) error {
		env.From("readings", Readings{Sensors: 5, Each: 1000}).To("journal", journal)
		return nil
	}, weir.Options{CheckpointDir: t.TempDir(), Settings: map[string]string{"parallelism.default": "2"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := job.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := len(journal.Rows()); n != 5000 {
		t.Errorf("with its own connectors: %d rows, want 5000", n)
	}
}

func TestReadings(t *testing.T) {
	var want []Reading
	for sensor := range 6 {
		for i := range 25 {
			want = append(want, reading(sensor, i))
		}
	}
	connectortest.Source(t, connectortest.SourceConfig[Reading, SensorSplit, Unread]{
		New:  func(*testing.T) connector.Source[Reading, SensorSplit, Unread] { return Readings{6, 25} },
		Want: want,
	})
}

func TestJournal(t *testing.T) {
	connectortest.Sink(t, connectortest.SinkConfig[Reading, connector.None, Page[Reading]]{
		New: func(*testing.T) connectortest.Place[Reading, connector.None, Page[Reading]] {
			j := &Journal[Reading]{}
			return connectortest.Place[Reading, connector.None, Page[Reading]]{Sink: j, Visible: j.Rows}
		},
		Row: func(i int) Reading { return Reading{fmt.Sprint("sensor ", i), float64(i), noon} },
	})
}
