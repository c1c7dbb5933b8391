// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Summary is the table of all steps at the end of a job.
func Summary(s *Sample, took time.Duration) string {
	rows := [][]string{{"step", "in", "out", "late dropped", "other"}}
	for i := range s.Steps {
		step := &s.Steps[i]
		rows = append(rows, []string{
			step.Name, blankIf(step.Source, count(step.In)), blankIf(step.Sink, count(step.Out)), count(step.late()), step.others(),
		})
	}
	in := s.in()
	rate := float64(in) / max(took.Seconds(), 1e-9)
	var b strings.Builder
	fmt.Fprintf(&b, "%s in %s: %s records in (%s/s), %s out", s.Status, Span(took), count(in), short(rate), count(s.out()))
	if s.Checkpoint.ID != 0 {
		fmt.Fprintf(&b, ", last checkpoint %d (took %s, %s)", s.Checkpoint.ID, Span(s.Checkpoint.Duration), size(s.Checkpoint.Bytes))
	}
	if s.Failures > 0 {
		fmt.Fprintf(&b, ", failures %d", s.Failures)
	}
	b.WriteString("\n\n")
	b.WriteString(table(rows))
	return b.String()
}

// lateCounter is the counter in which process functions count rows that came too late, as windows do by themselves.
const lateCounter = "lateRecordsDropped"

func (s *Step) late() int64 { return s.Late + s.Counters[lateCounter] }

// others are the counters of the step itself.
func (s *Step) others() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(s.Counters)) {
		if name != lateCounter {
			all = append(all, name+" "+count(s.Counters[name]))
		}
	}
	return strings.Join(all, ", ")
}

func blankIf(blank bool, s string) string {
	if blank {
		return ""
	}
	return s
}

// table aligns the first and the last column left, numbers right. Columns that are empty throughout are left out.
func table(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	used := make([]bool, len(rows[0]))
	for i, row := range rows {
		for c, cell := range row {
			widths[c] = max(widths[c], len([]rune(cell)))
			used[c] = used[c] || i > 0 && cell != ""
		}
	}
	var b strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for c, cell := range row {
			if !used[c] {
				continue
			}
			pad := strings.Repeat(" ", widths[c]-len([]rune(cell)))
			if c == 0 || c == len(row)-1 {
				line.WriteString(cell + pad + "  ")
			} else {
				line.WriteString(pad + cell + "  ")
			}
		}
		b.WriteString("  " + strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}
