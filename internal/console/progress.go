// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/weir-stream/weir/element"
)

// StuckAfter is how long the watermark of a job may stand still before its progress line names what holds it.
const StuckAfter = 10 * time.Second

// Progress makes a line of each sample, by what has changed since earlier ones.
type Progress struct {
	// Start is when the job was started.
	Start time.Time
	// StuckAfter is how long a watermark may stand still while records come in; never zero.
	StuckAfter time.Duration

	begun  bool
	last   time.Time // when in was lastIn
	lastIn int64
	rate   float64
	// mark is the watermark since moved, when markIn records had come in.
	mark   int64
	moved  time.Time
	markIn int64
}

// Line describes a sample; each is later than the one before.
func (p *Progress) Line(s *Sample) string {
	in := s.in()
	if !p.begun {
		p.begun, p.last = true, p.Start
		p.mark, p.moved = element.MinWatermark, p.Start
	}
	p.measure(s.At, in)
	at, holder := s.watermark()
	parts := []string{
		s.Status,
		clock(s.At.Sub(p.Start)),
		fmt.Sprintf("in %s (%s/s)", count(in), short(p.rate)),
		"out " + count(s.out()),
		"watermark " + watermark(at, s.At),
	}
	if s.Checkpoint.ID != 0 {
		parts = append(parts, checkpoint(s.Checkpoint, s.At))
	}
	if s.Failures > 0 {
		parts = append(parts, fmt.Sprintf("failures %d (last: %s)", s.Failures, firstLine(s.Failure)))
	}
	if held := p.stuck(s.At, in, at, holder); held != "" {
		parts = append(parts, held)
	}
	return strings.Join(parts, "  ")
}

// Figures come in about once a second: a rate is taken from one change to the next, and where there is none for longer,
// nothing is coming.
const (
	rateMin = time.Second / 2
	rateMax = 5 * time.Second / 2
)

// measure updates the rate.
func (p *Progress) measure(now time.Time, in int64) {
	if d := now.Sub(p.last); d >= rateMin && in != p.lastIn || d >= rateMax {
		p.rate = max(0, float64(in-p.lastIn)/d.Seconds())
		p.last, p.lastIn = now, in
	}
}

// stuck names what holds a watermark that has not moved for long although records came in.
func (p *Progress) stuck(now time.Time, in, at int64, holder string) string {
	if at != p.mark {
		p.mark, p.moved, p.markIn = at, now, in
		return ""
	}
	if now.Sub(p.moved) < p.StuckAfter || in == p.markIn || at == element.MaxWatermark {
		return ""
	}
	if holder == "" {
		holder = "a source without records"
	}
	return "held by " + holder
}

func watermark(at int64, now time.Time) string {
	switch at {
	case element.MinWatermark:
		return "-"
	case element.MaxWatermark:
		return "end"
	}
	t := time.Unix(0, at).UTC()
	return fmt.Sprintf("%s (lag %s)", t.Format("2006-01-02T15:04:05Z"), Span(now.Sub(t)))
}

func checkpoint(c Checkpoint, now time.Time) string {
	return fmt.Sprintf("checkpoint %d (%s ago, took %s, %s)", c.ID, Span(now.Sub(c.Completed)), Span(c.Duration), size(c.Bytes))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	if r := []rune(line); len(r) > 80 {
		return string(r[:79]) + "…"
	}
	return line
}
