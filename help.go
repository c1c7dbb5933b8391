// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobsettings"
)

// help is the text of --help for a job: what build asked for, what every program has, and what the exit code says.
func help(command, name string, flags []graph.Flag) string {
	var b strings.Builder
	fmt.Fprintf(&b, `%[1]s [FLAGS]

Runs the job %[2]q until its input ends. Ctrl-C stops it with a final checkpoint, a second one ends it at once:

  %[1]s --restore latest

goes on from there, also after the process was killed.
`, command, name)
	if len(flags) > 0 {
		b.WriteString("\nFlags of the job:\n")
		columns(&b, jobFlags(flags))
	}
	b.WriteString("\nFlags of every job:\n")
	own := slices.Clone(usage)
	own[0][1] = fmt.Sprintf(own[0][1], name)
	columns(&b, own)
	b.WriteString("\nSettings, for -D; what the job's code sets wins over them:\n")
	var keys [][2]string
	for _, o := range jobsettings.Options() {
		keys = append(keys, [2]string{o.Key, o.Usage})
	}
	columns(&b, keys)
	b.WriteString("\nExit codes:\n")
	columns(&b, exitCodes)
	return b.String()
}

// helpOnCluster is the text for a job that a cluster runs, whose own flags are all that it has there.
func helpOnCluster(name string, flags []graph.Flag) string {
	if len(flags) == 0 {
		return fmt.Sprintf("The job %q has no flags.\n", name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Flags of the job %q:\n", name)
	columns(&b, jobFlags(flags))
	return b.String()
}

func jobFlags(flags []graph.Flag) [][2]string {
	rows := make([][2]string, 0, len(flags))
	for _, f := range flags {
		row := [2]string{"--" + f.Name, f.Usage}
		if f.Type == "bool" && f.Default == "false" {
			rows = append(rows, row)
			continue
		}
		row[0] += " " + strings.ToUpper(f.Type)
		row[1] += " (default " + cmp.Or(f.Default, `""`) + ")"
		rows = append(rows, row)
	}
	return rows
}

// helpOfJobs is the text of --help for a program with several jobs, before one is picked.
func helpOfJobs(command string, jobs map[string]Build) string {
	return fmt.Sprintf("%[1]s JOB [FLAGS]\n\nJobs: %[2]s. The flags of one:\n\n  %[1]s JOB --help\n",
		command, strings.Join(slices.Sorted(maps.Keys(jobs)), ", "))
}

// columns writes rows of a name and what it is for, aligned.
func columns(b *strings.Builder, rows [][2]string) {
	width := 0
	for _, r := range rows {
		width = max(width, utf8.RuneCountInString(r[0]))
	}
	for _, r := range rows {
		fmt.Fprintf(b, "  %-*s  %s\n", width, r[0], r[1])
	}
}
