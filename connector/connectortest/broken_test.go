// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package connectortest_test

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/connectortest"
	"github.com/weir-stream/weir/connector/generator"
	"github.com/weir-stream/weir/element"
)

// breakVariable tells the test binary, run by itself, which broken connector to put through the suite.
const breakVariable = "WEIR_TEST_BREAK"

// TestSuiteFindsFaults breaks a connector in one way at a time and expects the suite to say so.
func TestSuiteFindsFaults(t *testing.T) {
	for how, want := range map[string]string{
		"source: sound":                         "",
		"source: snapshot is ahead":             "is missing",
		"source: snapshot is behind":            "came 2 times",
		"source: reader does not wake":          "has woken its task",
		"source: poll sleeps":                   "Poll blocked",
		"source: goroutine stays":               "deadlock",
		"source: split id is wrong":             "which the reader does not hold",
		"source: batch is too long":             "records in a batch of",
		"source: enumerator drops what is back": "is missing",
		"source: enumerator forgets its state":  "came 2 times",
		"source: enumerator ignores readers":    "",
		"sink: sound":                           "",
		"sink: visible too early":               "is visible but was not committed",
		"sink: commit counts twice":             "is visible 2 times",
		"sink: prepared for nothing":            "was committed but is not visible",
		"sink: writer keeps the batch":          "was committed but is not visible",
		"sink: committable hides the rows":      "was committed but is not visible",
		"sink: lost data is a success":          "want one that wraps ErrPermanent",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBroken$", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), breakVariable+"="+how)
			out, err := cmd.CombinedOutput()
			switch {
			case strings.HasSuffix(how, "sound") && err != nil:
				t.Errorf("the suite refuses a sound connector:\n%s", out)
			case !strings.HasSuffix(how, "sound") && err == nil:
				t.Error("the suite passes it")
			case !strings.Contains(string(out), want):
				t.Errorf("the suite does not say %q:\n%s", want, out)
			}
		})
	}
}

// TestBroken is what the test above runs.
func TestBroken(t *testing.T) {
	part, how, ok := strings.Cut(os.Getenv(breakVariable), ": ")
	if !ok {
		t.Skip("run by TestSuiteFindsFaults")
	}
	if part == "source" {
		testBrokenSource(t, how)
	} else {
		testBrokenSink(t, how)
	}
}

func testBrokenSource(t *testing.T, how string) {
	t.Helper()
	want := make([]int64, 3000)
	for i := range want {
		want[i] = int64(i)
	}
	connectortest.Source(t, connectortest.SourceConfig[int64, generator.Split, generator.Progress]{
		New: func(*testing.T) connector.Source[int64, generator.Split, generator.Progress] {
			return brokenSource{generator.Slice(want...), how}
		},
		Want: want,
		Key:  func(in *int64) string { return strconv.FormatInt(*in, 10) },
	})
}

func testBrokenSink(t *testing.T, how string) {
	t.Helper()
	connectortest.Sink(t, connectortest.SinkConfig[int, connector.None, rowsOf]{
		New: func(*testing.T) connectortest.Place[int, connector.None, rowsOf] {
			s := &brokenSink{how: how, done: map[string]bool{}}
			p := connectortest.Place[int, connector.None, rowsOf]{Sink: s, Visible: func() []int { return s.visible }}
			if how == "lost data is a success" {
				p.Destroy = func() {}
			}
			return p
		},
		Row: func(i int) int { return i + 1 },
	})
}

type brokenSource struct {
	generator.Source[int64]
	how string
}

func (b brokenSource) NewReader(ctx context.Context, rt connector.RuntimeContext) (connector.Reader[int64, generator.Split], error) {
	r, err := b.Source.NewReader(ctx, rt)
	if b.how == "goroutine stays" {
		go func() { <-make(chan struct{}) }()
	}
	return &brokenReader{r, b.how, false}, err
}

func (b brokenSource) NewEnumerator(ctx context.Context, rt connector.EnumeratorContext[generator.Split], restored *generator.Progress) (connector.Enumerator[generator.Split, generator.Progress], error) {
	e, err := b.Source.NewEnumerator(ctx, rt, restored)
	return brokenEnumerator{e, b.how}, err
}

type brokenReader struct {
	connector.Reader[int64, generator.Split]
	how    string
	waited bool
}

func (b *brokenReader) Poll(to *element.Batch[int64]) (string, error) {
	switch b.how {
	case "poll sleeps":
		time.Sleep(time.Millisecond)
	case "reader does not wake":
		if b.waited = !b.waited; b.waited {
			return "", connector.ErrWait
		}
	}
	id, err := b.Reader.Poll(to)
	switch {
	case b.how == "split id is wrong" && id != "":
		id += "x"
	case b.how == "batch is too long" && id != "":
		*to.Append() = -1
	}
	return id, err
}

func (b *brokenReader) Snapshot(checkpoint int64) ([]generator.Split, error) {
	splits, err := b.Reader.Snapshot(checkpoint)
	for i := range splits {
		switch {
		case b.how == "snapshot is ahead" && splits[i].Next+1 < splits[i].To:
			splits[i].Next++
		case b.how == "snapshot is behind" && splits[i].Next > splits[i].From:
			splits[i].Next--
		}
	}
	return splits, err
}

type brokenEnumerator struct {
	connector.Enumerator[generator.Split, generator.Progress]
	how string
}

func (b brokenEnumerator) Assigned(reader int, splits []generator.Split) error {
	if b.how == "enumerator ignores readers" {
		return nil
	}
	return b.Enumerator.Assigned(reader, splits)
}

func (b brokenEnumerator) AddBack(splits []generator.Split, reader int) error {
	if b.how == "enumerator drops what is back" {
		return nil
	}
	return b.Enumerator.AddBack(splits, reader)
}

func (b brokenEnumerator) Snapshot(checkpoint int64) (generator.Progress, error) {
	if b.how == "enumerator forgets its state" {
		return generator.Progress{}, nil
	}
	return b.Enumerator.Snapshot(checkpoint)
}

// rowsOf is a committable that carries its rows.
type rowsOf struct {
	ID     string
	Rows   []int
	hidden []int `weir:"-"`
}

// brokenSink is a sink in memory.
type brokenSink struct {
	how     string
	visible []int
	done    map[string]bool
	ids     int
}

func (s *brokenSink) NewWriter(context.Context, connector.RuntimeContext, []connector.None) (connector.Writer[int, connector.None, rowsOf], error) {
	return &brokenWriter{s: s}, nil
}

func (s *brokenSink) NewCommitter(context.Context) (connector.Committer[rowsOf], error) {
	return s, nil
}

func (s *brokenSink) Commit(_ context.Context, committables []rowsOf) error {
	for _, c := range committables {
		if s.done[c.ID] && s.how != "commit counts twice" {
			continue
		}
		s.done[c.ID] = true
		s.visible = append(append(s.visible, c.Rows...), c.hidden...)
	}
	return nil
}

func (s *brokenSink) Close() error { return nil }

type brokenWriter struct {
	s    *brokenSink
	rows []int
}

func (w *brokenWriter) Write(_ context.Context, b *element.Batch[int]) error {
	switch {
	case w.s.how == "visible too early":
		w.s.visible = append(w.s.visible, b.Rows()...)
	case w.s.how == "writer keeps the batch" && w.rows == nil:
		w.rows = b.Rows()
	default:
		w.rows = append(w.rows, b.Rows()...)
	}
	return nil
}

func (w *brokenWriter) PrepareCommit(context.Context, int64) ([]rowsOf, error) {
	w.s.ids++
	c := rowsOf{ID: strings.Repeat("i", w.s.ids), Rows: w.rows}
	w.rows = nil
	switch w.s.how {
	case "prepared for nothing":
		return nil, nil
	case "committable hides the rows":
		c.Rows, c.hidden = nil, c.Rows
	}
	return []rowsOf{c}, nil
}

func (w *brokenWriter) Snapshot(int64) (connector.None, error) { return connector.None{}, nil }

func (w *brokenWriter) Close() error { return nil }
