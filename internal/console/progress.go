// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/weir-stream/weir/element"
)

// StuckAfter is how long a watermark may stand still while records come in before the progress line names what holds it.
const StuckAfter = 10 * time.Second

// Progress makes a line of each sample, by what has changed since earlier ones. The zero Progress has seen none.
type Progress struct {
	start, last time.Time
	lastIn      int64
	rate        float64
	// mark is the watermark since moved, when markIn records had come in.
	mark   int64
	moved  time.Time
	markIn int64
}

// Line describes a sample; each is later than the one before.
func (p *Progress) Line(s *Sample) string {
	in := s.in()
	if p.start.IsZero() {
		p.start, p.last, p.lastIn = s.At, s.At, in
		p.mark, p.moved, p.markIn = element.MinWatermark, s.At, in
	}
	p.measure(s.At, in)
	at, holder := s.watermark()
	parts := []string{
		s.Status,
		clock(s.At.Sub(p.start)),
		fmt.Sprintf("in %s (%s/s)", count(in), short(p.rate)),
		"out " + count(s.out()),
		"watermark " + watermark(at, s.At),
	}
	if s.Checkpoint.ID != 0 {
		parts = append(parts, checkpoint(s.Checkpoint, s.At))
	}
	if s.Restarts > 0 {
		parts = append(parts, fmt.Sprintf("restarts %d (%s)", s.Restarts, firstLine(s.Failure)))
	}
	if held := p.stuck(s.At, in, at, holder); held != "" {
		parts = append(parts, held)
	}
	return strings.Join(parts, "  ")
}

// measure updates the rate, over at least half a second.
func (p *Progress) measure(now time.Time, in int64) {
	if d := now.Sub(p.last); d >= time.Second/2 {
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
	if now.Sub(p.moved) < StuckAfter || in == p.markIn || at == element.MaxWatermark {
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
