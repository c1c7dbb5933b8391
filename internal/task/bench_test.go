// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package task_test

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/invariants"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/task"
	"github.com/weir-stream/weir/internal/task/tasktest"
)

// bid is a record of 80 bytes.
type bid struct {
	Auction, Bidder, Price, Extra int64
	Channel, URL                  string
	At, More                      int64
}

// bids is an endless source that stops at n records.
type bids struct{ n int64 }

func (b *bids) Boundedness() connector.Boundedness { return connector.Bounded }

func (b *bids) NewReader(context.Context, connector.RuntimeContext) (connector.Reader[bid, span], error) {
	return &bidReader{left: b.n}, nil
}

func (b *bids) NewEnumerator(
	context.Context, connector.EnumeratorContext[span], *remaining,
) (connector.Enumerator[span, remaining], error) {
	return nil, errTest
}

type bidReader struct{ at, left int64 }

//go:noinline
func fill(r *bid, at int64) { r.Auction, r.Bidder, r.Price, r.At = at, at>>1, at, at }

func (r *bidReader) Poll(b *element.Batch[bid]) (string, error) {
	if r.left == 0 {
		return "", io.EOF
	}
	n := min(int64(b.Limit()), r.left)
	b.Resize(int(n))
	rows := b.Rows()
	for i := range rows {
		r.at++
		fill(&rows[i], r.at)
	}
	r.left -= n
	return "all", nil
}

func (r *bidReader) Add([]span) error               { return nil }
func (r *bidReader) NoMoreSplits()                  {}
func (r *bidReader) Snapshot(int64) ([]span, error) { return nil, nil }
func (r *bidReader) Completed(int64) error          { return nil }
func (r *bidReader) Close() error                   { return nil }

// tally is the sink.
type tally struct{ rows, sum int64 }

func (t *tally) NewWriter(context.Context, connector.RuntimeContext, []connector.None) (connector.Writer[bid, connector.None, connector.None], error) {
	return t, nil
}

func (t *tally) NewCommitter(context.Context) (connector.Committer[connector.None], error) {
	return nil, nil
}

func (t *tally) Write(_ context.Context, b *element.Batch[bid]) error {
	rows := b.Rows()
	for i := range rows {
		t.sum += rows[i].Extra
	}
	t.rows += int64(len(rows))
	return nil
}
func (t *tally) PrepareCommit(context.Context, int64) ([]connector.None, error) { return nil, nil }
func (t *tally) Snapshot(int64) (connector.None, error)                         { return connector.None{}, nil }
func (t *tally) Close() error                                                   { return nil }

//go:noinline
func convert(in, out *bid) { *out = *in; out.Price = in.Price * 908 / 1000 }

//go:noinline
func odd(in *bid) bool { return in.Auction&1 == 1 }

//go:noinline
func bump(in, out *bid) { *out = *in; out.Extra++ }

// bidGraph is source -> map -> filter -> map -> sink in one task.
func bidGraph(b testing.TB, n int64, sink *tally) *graph.JobVertex {
	b.Helper()
	source, err := operator.Source(&bids{n}, nil)
	if err != nil {
		b.Fatal(err)
	}
	out, err := operator.Sink(sink)
	if err != nil {
		b.Fatal(err)
	}
	nodes := []*graph.StreamNode{{UID: "bids", Name: "bids", New: source.New, Source: &graph.SourceSpec{}}}
	var edges []*graph.StreamEdge
	for i, s := range []operator.Step{operator.MapTo(convert), operator.Filter(odd), operator.MapTo(bump), out.Step} {
		nodes = append(nodes, &graph.StreamNode{ID: i + 1, Name: "step", Inputs: 1, New: s.New})
		edges = append(edges, &graph.StreamEdge{From: i, To: i + 1, Partitioning: exchange.Forward})
	}
	nodes[4].UID, nodes[4].Sink = "out", &graph.SinkSpec{}
	g, err := graph.Build(&graph.StreamGraph{Name: "bids", Nodes: nodes, Edges: edges}, graph.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return g.Vertices[0]
}

type silent struct{ task.Reporter }

func (silent) Changed(int64, task.Status, error) {}
func (silent) ReaderReady(int64, int64)          {}

// BenchmarkChain compares a task with a hand-written loop that makes the same calls.
func BenchmarkChain(b *testing.B) {
	const rows = 1 << 20
	batches := rows / element.RowsFor[bid](1)
	b.Run("task", func(b *testing.B) {
		env, err := exchange.NewEnvironment(exchange.Config{})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			sink := &tally{}
			x := task.Start(task.Config{
				Vertex: bidGraph(b, rows, sink), Attempt: 1, Exchange: env, Reporter: silent{},
				Logger: slog.New(slog.DiscardHandler),
				State:  (&tasktest.Storage{}).Task(tasktest.Subtask{Parallelism: 1, MaxParallelism: 1}, 0),
			})
			<-x.Done()
			if sink.rows != rows/2 || sink.sum != rows/2 {
				b.Fatalf("%d rows, sum %d", sink.rows, sink.sum)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/rec")
		b.ReportMetric(float64(batches), "batches/op")
	})
	b.Run("loop", func(b *testing.B) {
		batch := make([]bid, element.RowsFor[bid](1))
		f, keep, g := convert, odd, bump
		for b.Loop() {
			var at, kept, sum int64
			for range batches + 1 {
				n := min(int64(len(batch)), rows-at)
				for i := range batch[:n] {
					at++
					fill(&batch[i], at)
				}
				for i := range batch[:n] {
					var x, y bid
					if f(&batch[i], &x); !keep(&x) {
						continue
					}
					g(&x, &y)
					kept++
					sum += y.Extra
				}
			}
			if kept != rows/2 || sum != rows/2 {
				b.Fatalf("%d rows, sum %d", kept, sum)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/rec")
	})
}

// TestSteadyChainAllocatesLittle runs a chain over four times as many batches: what it allocates grows by less than an
// object a batch.
func TestSteadyChainAllocatesLittle(t *testing.T) {
	if invariants.Enabled {
		t.Skip("checks of invariants allocate")
	}
	env, err := exchange.NewEnvironment(exchange.Config{})
	if err != nil {
		t.Fatal(err)
	}
	run := func(rows int64) float64 {
		return testing.AllocsPerRun(5, func() {
			x := task.Start(task.Config{
				Vertex: bidGraph(t, rows, &tally{}), Attempt: 1, Exchange: env, Reporter: silent{},
				State: (&tasktest.Storage{}).Task(tasktest.Subtask{Parallelism: 1, MaxParallelism: 1}, 0),
			})
			<-x.Done()
		})
	}
	const few, many = 1 << 16, 1 << 18
	batches := float64((many - few) / element.RowsFor[bid](1))
	if more := run(many) - run(few); more > batches/10 {
		t.Errorf("%v objects for %v batches more", more, batches)
	}
}
