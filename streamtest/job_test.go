// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package streamtest_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/connector/file"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/streamtest"
	"github.com/weir-stream/weir/watermark"
	"github.com/weir-stream/weir/window"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type payment struct {
	Card   string
	Amount int64
	At     time.Time
}

func (p *payment) card() string    { return p.Card }
func (p *payment) amount() *int64  { return &p.Amount }
func (p *payment) time() time.Time { return p.At }

var tooLate = stream.NewTag[payment]("late")

// sums is a job as it is deployed, with files at both ends.
func sums(env *stream.Env) error {
	least := env.Flag("least", int64(0), "payments below it don't count")
	days := env.From("payments", file.JSON[payment]("payments/*.json")).
		Watermarks(watermark.Ascending((*payment).time)).
		Union(env.From("old", file.JSON[payment]("old/*.json")).Watermarks(watermark.Ascending((*payment).time))).
		Filter(func(p *payment) bool { return p.Amount >= least }).
		KeyBy((*payment).card).
		Window(window.Tumbling(24*time.Hour)).
		LateOutput(tooLate).
		Sum("sums", (*payment).amount)
	days.To("out", file.JSONSink[payment]("sums/"))
	days.SideOutput(tooLate).To("late", file.JSONSink[payment]("late/"))
	return nil
}

// payments of n cards, one a minute of event time, over days.
func payments(n, cards int) []payment {
	rows := make([]payment, n)
	for i := range rows {
		rows[i] = payment{fmt.Sprintf("card-%d", i%cards), 1, t0.Add(time.Duration(i) * time.Minute)}
	}
	return rows
}

func sum(rows []payment) (n int64) {
	for _, r := range rows {
		n += r.Amount
	}
	return n
}

func TestRunReplacesConnectors(t *testing.T) {
	out, late := streamtest.Collect[payment]("out"), streamtest.Collect[payment]("late")
	streamtest.Run(t, sums,
		streamtest.Source("payments", payment{"a", 600, t0}, payment{"b", 1, t0}, payment{"a", 800, t0.Add(time.Second)}),
		streamtest.Source[payment]("old"), streamtest.Args("--least=5"), out, late)
	if got, want := out.Rows(), []payment{{"a", 1400, t0}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := late.Rows(); len(got) > 0 {
		t.Errorf("late %v", got)
	}
}

// TestRunSurvivesFailures kills steps after checkpoints, at several parallelisms: each row counts once.
func TestRunSurvivesFailures(t *testing.T) {
	const rows, cards = 5000, 7
	var want []payment
	for _, parallelism := range []int{1, 3} {
		for _, kills := range [][]streamtest.Option{
			nil,
			{streamtest.Kill("sums", 1)},
			{streamtest.Kill("payments", 1), streamtest.Kill("out", 2), streamtest.Kill("sums", 4)},
		} {
			out := streamtest.Collect[payment]("out")
			streamtest.Run(t, sums, append([]streamtest.Option{
				streamtest.Source("payments", payments(rows, cards)...), streamtest.Source[payment]("old"),
				streamtest.Parallelism(parallelism), streamtest.Collect[payment]("late"), out,
			}, kills...)...)
			got := out.Rows()
			if want == nil {
				want = got
				if n := sum(got); n != rows {
					t.Fatalf("counted %d without a failure, want %d", n, rows)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("parallelism %d, %d kills: counted %d in %d rows, want %d in %d",
					parallelism, len(kills), sum(got), len(got), rows, len(want))
			}
		}
	}
}

// fatal is a test that records why it was ended.
type fatal struct {
	testing.TB
	said string
}

func (f *fatal) Helper()           {}
func (f *fatal) Fatal(args ...any) { f.said = fmt.Sprint(args...); runtime.Goexit() }

// failure is what Run ends a test with.
func failure(t *testing.T, build weir.Build, opts ...streamtest.Option) string {
	t.Helper()
	f := &fatal{TB: t}
	done := make(chan struct{})
	go func() { // Owner: this function, which waits for done
		defer close(done)
		streamtest.Run(f, build, opts...)
	}()
	<-done
	return f.said
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	rows := streamtest.Source("in", 1, 2, 3)
	job := func(env *stream.Env) error {
		env.Restart(stream.NoRestart())
		env.From("in", file.Lines("in/*")).
			MapE(func(*string) (int, error) { return 0, errors.New("no") }).
			To("out", file.JSONSink[int]("out"))
		return nil
	}
	lines := streamtest.Source("in", "a", "b")
	for _, tt := range []struct {
		name string
		opts []streamtest.Option
		want string
	}{
		{"a source of another type", []streamtest.Option{rows}, `replace "in": the job has no source or sink of that uid and record type`},
		{"no such sink", []streamtest.Option{lines, streamtest.Collect[int]("elsewhere")}, `replace "elsewhere"`},
		{"no such flag", []streamtest.Option{lines, streamtest.Args("--x=1")}, "unknown flag --x"},
		{"no such step", []streamtest.Option{lines, streamtest.Collect[int]("out"), streamtest.Kill("nobody", 1)}, `kill "nobody": no step has that uid`},
		{"a job that fails", []streamtest.Option{lines, streamtest.Collect[int]("out")}, "the job ended as FAILED: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := failure(t, job, tt.opts...); !strings.Contains(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
