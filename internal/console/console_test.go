// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package console

import (
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/element"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func sample(now time.Time, in, out, mark int64) *Sample {
	return &Sample{At: now, Status: "RUNNING", Steps: []Step{
		{Name: "Source: a", Source: true, Out: in, Watermark: mark, Holder: "a.csv@0"},
		{Name: "Map", In: in, Out: in, Watermark: mark},
		{Name: "Sink: b", Sink: true, In: out, Watermark: mark},
	}}
}

func TestProgressLine(t *testing.T) {
	t0 := at("2026-01-02T00:00:00Z")
	mark := at("2026-01-01T23:00:00Z").UnixNano()
	p := Progress{Start: t0, StuckAfter: StuckAfter}
	p.Line(sample(t0, 0, 0, element.MinWatermark))
	s := sample(t0.Add(2*time.Second), 26800, 1196, mark)
	s.Checkpoint = Checkpoint{ID: 3, Completed: t0.Add(time.Second), Duration: 12 * time.Millisecond, Bytes: 88_100}
	got := p.Line(s)
	want := "RUNNING  00:02  in 26,800 (13.4k/s)  out 1,196  watermark 2026-01-01T23:00:00Z (lag 1.0h)  " +
		"checkpoint 3 (1.0s ago, took 12ms, 88.1kB)"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestProgressNamesWhatHoldsTheWatermark(t *testing.T) {
	t0 := at("2026-01-02T00:00:00Z")
	mark := t0.UnixNano()
	line := func(p *Progress, after time.Duration, in, mark int64) string {
		return p.Line(sample(t0.Add(after), in, 0, mark))
	}
	p := Progress{Start: t0, StuckAfter: StuckAfter}
	line(&p, 0, 0, mark)
	line(&p, time.Second, 10, mark)
	for _, step := range []struct {
		after    time.Duration
		in, mark int64
		held     bool
	}{
		{5 * time.Second, 20, mark, false},
		{11 * time.Second, 30, mark, true},
		{12 * time.Second, 40, mark + 1, false},
		{30 * time.Second, 40, mark + 1, false}, // no input: nothing to complain about
		{31 * time.Second, 41, mark + 1, true},
		{50 * time.Second, 50, element.MaxWatermark, false},
		{70 * time.Second, 60, element.MaxWatermark, false},
	} {
		got := line(&p, step.after, step.in, step.mark)
		if held := strings.Contains(got, "held by a.csv@0"); held != step.held {
			t.Errorf("after %v: %s, want held %v", step.after, got, step.held)
		}
	}
}

func TestSummary(t *testing.T) {
	s := sample(at("2026-01-02T00:00:00Z"), 1000, 10, element.MaxWatermark)
	s.Status = "FINISHED"
	s.Steps[1].Late = 3
	s.Steps[1].Counters = map[string]int64{"lateRecordsDropped": 2, "malformed": 1}
	got := Summary(s, 2*time.Second)
	want := `FINISHED in 2.0s: 1,000 records in (500/s), 10 out

  step          in    out  late dropped  other
  Source: a         1,000             0
  Map        1,000  1,000             5  malformed 1
  Sink: b       10                    0
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFormats(t *testing.T) {
	for n, want := range map[int64]string{0: "0", -1: "-1", 999: "999", 1000: "1,000", -123456: "-123,456", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %s, want %s", n, got, want)
		}
	}
	for f, want := range map[float64]string{0: "0", 999: "999", 1000: "1.0k", 99_960: "100k", 1_500_000: "1.5M"} {
		if got := short(f); got != want {
			t.Errorf("short(%g) = %s, want %s", f, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		3 * time.Microsecond: "3µs", 12 * time.Millisecond: "12ms", 90 * time.Second: "1.5m", -time.Hour: "-1.0h",
		72 * time.Hour: "3.0d", 13 * 8766 * time.Hour: "13.0y",
	} {
		if got := Span(d); got != want {
			t.Errorf("Span(%v) = %s, want %s", d, got, want)
		}
	}
}
