// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// Tables are how the answers of a cluster are shown to people: aligned columns under a header, in colour on a terminal
// (https://no-color.org says how to have none).

// columnGap is the space between two columns.
const columnGap = 2

// Sequences of a terminal (ECMA-48, select graphic rendition).
const (
	bold   = "\x1b[1m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	dim    = "\x1b[2m"
	plain  = "\x1b[0m"
)

// stateColours are those of states of jobs and tasks; a state that is on its way to another is yellow.
var stateColours = map[string]string{
	"RUNNING": green, "FINISHED": green, "FAILED": red, "FAILING": red, "CANCELED": dim, "SUSPENDED": dim,
	"CREATED": yellow, "INITIALIZING": yellow, "SCHEDULED": yellow, "DEPLOYING": yellow, "RESTARTING": yellow,
	"RECONCILING": yellow, "CANCELLING": yellow, "CANCELING": yellow, "draining": yellow,
}

// table writes rows as aligned columns; the first is the header. No column follows a last empty one.
func table(w io.Writer, rows [][]string) {
	colours := showsColours(w)
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range rows {
		var line strings.Builder
		gap := 0
		for i, cell := range row {
			if cell != "" {
				line.WriteString(strings.Repeat(" ", gap))
				line.WriteString(paint(cell, n == 0, colours))
				gap = 0
			}
			gap += widths[i] + columnGap
			if cell != "" {
				gap -= utf8.RuneCountInString(cell)
			}
		}
		fmt.Fprintln(w, line.String())
	}
}

// paint colours a cell that is a state or of the header.
func paint(cell string, header, colours bool) string {
	switch {
	case !colours:
		return cell
	case header:
		return bold + cell + plain
	case stateColours[cell] != "":
		return stateColours[cell] + cell + plain
	default:
		return cell
	}
}

// showsColours tells whether w is a terminal that shows colours.
func showsColours(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}
