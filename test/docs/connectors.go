// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package docs holds the code that docs/connectors.md shows, so that it compiles; a test compares the two. Nothing runs
// it.
package docs

import (
	"context"
	"embed"
	"testing"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/connectortest"
	"github.com/weir-stream/weir/connector/file"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/element"
)

//go:embed connectors.go
var embedded embed.FS

// The records of the page.
type (
	Weather struct{ Wind string }
	Hourly  struct{ Hour time.Time }
	Alert   struct{ Text string }
	Bid     struct{ ID, Price int64 }
	Rule    struct {
		Name  string
		Limit int
	}
	Row         struct{ ID int }
	State       struct{}
	Committable struct{}
	Progress    struct{}
)

// Flight is the page's example of columns.
type Flight struct {
	Scheduled   time.Time // column scheduled, RFC 3339, kept in UTC
	DepDelayMin *int      // dep_delay_min; nil where the field is empty
	Plane       string    `csv:"tail"`
	Gate        string    `csv:"gate,optional"` // the column may be missing
	Note        string    `csv:"-"`             // no column
	Weather               // an embedded struct: its fields are columns
}

func fill(int64, *Bid) {}

func sources() {
	flights := file.CSV[Flight]("in/flights-*.csv.gz").Rate(1000)
	weather := file.JSON[Weather]("in/weather/").OnMalformed(file.Skip)
	words := file.Lines("words.txt")
	built := file.CSV[Flight]("flights-*.csv.gz").FS(embedded)
	_, _, _, _ = flights, weather, words, built
}

func (h *Hourly) day() string { return h.Hour.UTC().Format("day=2006-01-02") }

func sinks() {
	file.CSVSink[Hourly]("out/hourly")
	file.JSONSink[Alert]("out/alerts").RollSize(128 << 20).RollInterval(10 * time.Minute)
	file.CSVSink[Hourly]("out/days").PartitionBy((*Hourly).day)
	file.LinesSink("out/words")
}

func generators() {
	generator.New(func(i int64, out *Bid) { out.ID, out.Price = i, i%1000 }).Limit(1e9)
	generator.New(fill).Rate(10_000)
	generator.Slice(Rule{"a", 1}, Rule{"b", 2})
}

var _ = []func(){sources, sinks, generators}

// Split is that of the page's source.
type Split struct {
	Partition string
	Offset    int64
}

// SplitID names the partition.
func (s Split) SplitID() string { return s.Partition }

// Source is a source whose client blocks.
type Source struct {
	connector.Source[Row, Split, Progress]
	client interface {
		Read(ctx context.Context, partition string, offset int64, rows int) ([]Row, error)
	}
}

// NewReader makes a reader of a blocking function.
func (src Source) NewReader(_ context.Context, rt connector.RuntimeContext) (connector.Reader[Row, Split], error) {
	return connector.Threaded(rt, func(ctx context.Context, s *Split, b *element.Batch[Row]) error {
		rows, err := src.client.Read(ctx, s.Partition, s.Offset, b.Limit()) // io.EOF at the end of the split
		for _, r := range rows {
			*b.Append() = r
			s.Offset++
		}
		return err
	}), nil
}

type server struct{ Rows func() []Row }

func startServer(*testing.T) server { return server{} }

// New makes the source of a server.
func New(server) connector.Source[Row, Split, Progress] { return Source{} }

// NewSink makes the sink of a server.
func NewSink(server) connector.Sink[Row, State, Committable] { return nil }

var rows []Row

// TestSource runs the suite over a source.
func TestSource(t *testing.T) {
	connectortest.Source(t, connectortest.SourceConfig[Row, Split, Progress]{
		New:  func(t *testing.T) connector.Source[Row, Split, Progress] { return New(startServer(t)) },
		Want: rows, // what the source must yield, each exactly once
	})
}

// TestSink runs the suite over a sink.
func TestSink(t *testing.T) {
	connectortest.Sink(t, connectortest.SinkConfig[Row, State, Committable]{
		New: func(t *testing.T) connectortest.Place[Row, State, Committable] {
			server := startServer(t)
			return connectortest.Place[Row, State, Committable]{Sink: NewSink(server), Visible: server.Rows}
		},
		Row: func(i int) Row { return Row{ID: i} },
	})
}
