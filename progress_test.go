// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir

import (
	"bufio"
	"context"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/console"
	"github.com/weir-stream/weir/stream"
	"github.com/weir-stream/weir/watermark"
)

// lane is a split of lanes: the busy one has a record each millisecond, the others have none.
type lane struct {
	Name string
	Next int64
}

func (l lane) SplitID() string { return l.Name }

// lanes is a source of two splits, read by the first subtask.
type lanes struct{}

func (lanes) Boundedness() connector.Boundedness { return connector.Unbounded }

func (lanes) NewEnumerator(
	_ context.Context, rt connector.EnumeratorContext[lane], _ *connector.None,
) (connector.Enumerator[lane, connector.None], error) {
	return &lanesEnumerator{rt: rt}, nil
}

func (lanes) NewReader(_ context.Context, rt connector.RuntimeContext) (connector.Reader[int64, lane], error) {
	return &lanesReader{rt: rt}, nil
}

type lanesEnumerator struct {
	rt connector.EnumeratorContext[lane]
}

func (e *lanesEnumerator) ReaderReady(reader int) error {
	if reader == 0 {
		e.rt.Assign(0, lane{Name: "busy"}, lane{Name: "silent"})
	}
	return nil
}
func (*lanesEnumerator) Assigned(int, []lane) error             { return nil }
func (*lanesEnumerator) Start(context.Context) error            { return nil }
func (*lanesEnumerator) AddBack([]lane, int) error              { return nil }
func (*lanesEnumerator) Snapshot(int64) (connector.None, error) { return connector.None{}, nil }
func (*lanesEnumerator) Close() error                           { return nil }

type lanesReader struct {
	rt    connector.RuntimeContext
	lanes []lane
	due   time.Time
}

func (r *lanesReader) Add(splits []lane) error {
	r.lanes = append(r.lanes, splits...)
	r.rt.Wake()
	return nil
}

func (r *lanesReader) Poll(b *element.Batch[int64]) (string, error) {
	now := r.rt.Now()
	if len(r.lanes) == 0 || now.Before(r.due) {
		return "", connector.ErrWait
	}
	r.due = now.Add(time.Millisecond)
	r.rt.WakeAt(r.due)
	l := &r.lanes[0]
	*b.Append() = l.Next
	l.Next++
	return l.Name, connector.ErrWait
}
func (*lanesReader) NoMoreSplits()                    {}
func (r *lanesReader) Snapshot(int64) ([]lane, error) { return r.lanes, nil }
func (*lanesReader) Completed(int64) error            { return nil }
func (*lanesReader) Close() error                     { return nil }

// TestProgressNamesTheSplit runs a job one of whose splits holds the watermark, reads its progress, and stops it by a
// signal.
func TestProgressNamesTheSplit(t *testing.T) {
	build := func(env *stream.Env) error {
		env.Checkpoint(stream.Checkpoints{Interval: 20 * time.Millisecond})
		env.From("lanes", lanes{}).
			Watermarks(watermark.Ascending(func(n *int64) time.Time { return time.Unix(*n, 0) })).
			To("out", connector.Each(func(context.Context, *int64) error { return nil }))
		return nil
	}
	h, err := Run(t.Context(), "lanes", build, Options{})
	if err != nil {
		t.Fatal(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	p := &program{name: "lanes", resume: func(restore string) string { return "lanes --restore " + restore }, terminal: console.NewTerminal(in)}
	if p.terminal.IsTTY || p.terminal.Interval != 10*time.Second {
		t.Errorf("a pipe: terminal %v, a line every %v", p.terminal.IsTTY, p.terminal.Interval)
	}
	p.terminal.Interval = 5 * time.Millisecond
	interrupts := make(chan os.Signal, 1)
	code := make(chan int, 1)
	go func() { // Owner: this test, which receives from code
		defer func() { _ = in.Close() }()
		start := time.Now()
		if !p.watch(h, &console.Progress{Start: start, StuckAfter: 50 * time.Millisecond}, interrupts) {
			code <- -1
			return
		}
		code <- p.conclude(h, time.Since(start))
	}()

	held := regexp.MustCompile(`^RUNNING  \d\d:\d\d  in [\d,]+ \([\d.k]+/s\)  out [\d,]+  watermark -  ` +
		`checkpoint \d+ \(.* ago, took .*, .*B\)  held by silent$`)
	var lines []string
	for s := bufio.NewScanner(out); s.Scan(); {
		lines = append(lines, s.Text())
		if held != nil && held.MatchString(s.Text()) {
			interrupts <- syscall.SIGTERM
			held = nil
		}
		if len(lines) > 20_000 {
			t.Fatalf("no line names the split that holds the watermark; the last: %q", lines[len(lines)-3:])
		}
	}
	if c := <-code; c != exitFinished {
		t.Errorf("exit code %d", c)
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{"stopping with a final checkpoint", "SUSPENDED in ", "to resume: lanes --restore latest"} {
		if !strings.Contains(text, want) {
			t.Errorf("the output lacks %q:\n%s", want, text)
		}
	}
}
