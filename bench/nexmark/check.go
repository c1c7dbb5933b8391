// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// shownMax is how many rows that differ are shown of a query, rowShownMax how much of each.
const (
	shownMax    = 5
	rowShownMax = 300
)

// check runs all queries on both sides, compares what they compute, and says so. It is an error if anything differs. The
// events themselves come first, for nothing else is worth comparing where these differ.
func (e *flinkEngine) check(ctx context.Context, out io.Writer, g *Generator, o *options) error {
	fmt.Fprintf(out, "answers of Flink %s beside those here: %d events, %d a second, %d in a row shuffled, seed %d, parallelism %d\n\n",
		e.version, g.Events, g.EventsPerSecond, g.OutOfOrder, g.Seed, o.parallelism)
	fmt.Fprintf(out, "%-5s %10s %10s\n", "query", "rows here", "on Flink")
	all := allAnswers()
	var differ []string
	for _, name := range append([]string{"all"}, namesOf(o.queries)...) {
		a, ok := all[name]
		if !ok {
			fmt.Fprintf(out, "%-5s %10s %10s  Flink's SQL can't\n", name, "-", "-")
			continue
		}
		equal, err := e.compare(ctx, out, g, o.settings, name, a)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !equal {
			differ = append(differ, name)
		}
	}
	if len(differ) > 0 {
		return fmt.Errorf("the answers of Flink differ for %s", strings.Join(differ, ", "))
	}
	return nil
}

// compare runs a query on both sides.
func (e *flinkEngine) compare(ctx context.Context, out io.Writer, g *Generator, s settings, name string, a answers) (bool, error) {
	v := e.values
	v.Dir = filepath.Join(e.values.Dir, name)
	v.Answers = fmt.Sprintf("'connector' = 'answers', 'path' = '%s'", v.Dir)
	script, err := v.script(name)
	if err != nil {
		return false, err
	}
	if _, err := e.Run(ctx, name, script); err != nil {
		return false, fmt.Errorf("Flink %s: %w", e.version, err)
	}
	theirs, err := a.theirs(v.Dir)
	if err != nil {
		return false, fmt.Errorf("answers of Flink %s: %w", e.version, err)
	}
	ours, err := a.ours(ctx, g, s)
	if err != nil {
		return false, err
	}
	word, lines := a.verdict(g, ours, theirs)
	fmt.Fprintf(out, "%-5s %10d %10d  %s\n", name, ours.rows(), theirs.rows(), word)
	for _, line := range lines {
		fmt.Fprintf(out, "%28s%s\n", "", line)
	}
	return len(lines) == 0, nil
}

// verdict is what comes of comparing the answers of both sides, and in a few lines what is wrong with them.
func (a answers) verdict(g *Generator, ours, theirs view) (word string, lines []string) {
	if a.holds != nil {
		return a.invariants(g, ours, theirs)
	}
	here, open := a.determined(g, ours)
	there, _ := a.determined(g, theirs)
	for _, line := range differences(here, there, shownMax) {
		if len(line) > rowShownMax {
			line = line[:rowShownMax] + "..."
		}
		lines = append(lines, strings.ReplaceAll(line, "\t", " | "))
	}
	if word = "equal"; len(lines) > 0 {
		word = "DIFFERENT"
	}
	if open > 0 {
		word += fmt.Sprintf(", but for %d rows %s", open, a.note)
	}
	return word, lines
}

// invariants looks at each side alone.
func (a answers) invariants(g *Generator, ours, theirs view) (word string, lines []string) {
	if err := a.holds(g, ours); err != nil {
		lines = append(lines, "here: "+err.Error())
	}
	if err := a.holds(g, theirs); err != nil {
		lines = append(lines, "there: "+err.Error())
	}
	if word = "as it must be"; len(lines) > 0 {
		word = "NOT AS IT MUST BE"
	}
	return word + ", " + a.note, lines
}

func namesOf(queries []query) (names []string) {
	for _, q := range queries {
		names = append(names, q.name)
	}
	return names
}
