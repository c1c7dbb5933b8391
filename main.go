// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/weir-stream/weir/internal/console"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/stream"
)

// Exit codes of Main.
const (
	exitFinished = 0 // the job finished, or was stopped with a checkpoint that it can go on from
	exitFailed   = 1
	exitUsage    = 2 // the arguments, or what build described, were wrong: nothing was started
	exitCanceled = 130
)

// Main is the whole main of a program with one job. It owns flags, signals and logging, and does not return: the exit
// code is the job's result. The first Ctrl-C stops the job with a final checkpoint and prints the command that resumes
// it; the second ends it at once.
func Main(name string, build Build) {
	os.Exit(runMain(name, build, nil, os.Args[1:]))
}

// MainJobs is Main for a program with several jobs by name; the first argument picks one.
func MainJobs(jobs map[string]Build) {
	names := strings.Join(slices.Sorted(maps.Keys(jobs)), ", ")
	if len(os.Args) < 2 || jobs[os.Args[1]] == nil {
		fmt.Fprintf(os.Stderr, "the first argument picks the job: %s\n", names)
		os.Exit(exitUsage)
	}
	os.Exit(runMain(os.Args[1], jobs[os.Args[1]], os.Args[1:2], os.Args[2:]))
}

// garbagePercent lets the heap grow further between two collections than Go's default: records that live as long as a
// batch make garbage fast and hold little.
const garbagePercent = 400

// runMain runs a job by the arguments behind job, the words that picked it.
func runMain(name string, build Build, job, args []string) int {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	a, err := parseArguments(name, args)
	if err != nil {
		return complain(err)
	}
	s, err := parseSettings(a.settings)
	if err != nil {
		return complain(err)
	}
	sg, err := stream.Describe(stream.Setup{Name: name, Args: a.job, Dir: workingDir(), Reserved: reserved}, build)
	if a.help {
		fmt.Print(help(name, job, sg))
		return exitFinished
	}
	if err != nil {
		return complain(err)
	}
	p := &program{name: name, job: job, args: args, terminal: newTerminal(os.Stderr)}
	return p.run(sg, s, a)
}

// complain says what is wrong before anything was started.
func complain(err error) int {
	fmt.Fprintf(os.Stderr, "%v\n", err)
	return exitUsage
}

func help(name string, job []string, sg *graph.StreamGraph) string {
	var b strings.Builder
	command := strings.Join(append(invocation(), job...), " ")
	fmt.Fprintf(&b, "%s [FLAGS] runs the job %q until its input ends, or until Ctrl-C.\n\n", command, name)
	if len(sg.Flags) > 0 {
		b.WriteString("Flags of the job:\n")
		for _, f := range sg.Flags {
			fmt.Fprintf(&b, "  --%-26s %s (default %s)\n", f.Name+" "+strings.ToUpper(f.Type), f.Usage, cmp.Or(f.Default, `""`))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, usage, name)
	b.WriteString("\nSettings:\n")
	for _, o := range known() {
		fmt.Fprintf(&b, "  %-54s %s\n", o.key, o.usage)
	}
	return b.String()
}

// program is a run of Main.
type program struct {
	name string
	// job is the argument that picked the job, args are those behind it.
	job, args []string
	terminal  *terminal
}

func (p *program) run(sg *graph.StreamGraph, s settings, a arguments) int {
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupts)

	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // the root of the program
	defer cancel()
	start := time.Now()
	h, err := launch(ctx, sg, s, Options{
		CheckpointDir: a.checkpointDir, Restore: a.restore, AllowNonRestoredState: a.allowNonRestored,
		Logger: p.terminal.logger(),
	})
	if err != nil {
		p.terminal.println(err.Error())
		return exitFailed
	}
	p.watch(h, interrupts, cancel)
	return p.conclude(h, time.Since(start))
}

// watch shows progress until the job has ended, and stops it on a signal.
func (p *program) watch(h *Handle, interrupts <-chan os.Signal, cancel func()) {
	var progress console.Progress
	ticker := time.NewTicker(p.terminal.interval())
	defer ticker.Stop()
	stopping := false
	for {
		select {
		case <-h.Done():
			p.terminal.clear()
			return
		case <-interrupts:
			if stopping {
				p.terminal.println("ending at once, without a checkpoint")
				cancel()
				continue
			}
			stopping = true
			p.terminal.println("stopping with a final checkpoint; again to end at once")
			h.job.Suspend()
		case <-ticker.C:
			if s := h.sample(); s != nil {
				p.terminal.progress(progress.Line(&s.Sample))
			}
		}
	}
}

// conclude prints the summary and what to do next.
func (p *program) conclude(h *Handle, took time.Duration) int {
	err := h.Wait()
	switch {
	case h.result.Earlier:
		p.terminal.println(fmt.Sprintf("run %s of job %q has ended before: %s", h.JobID(), p.name, h.result.Status))
	case h.last != nil:
		s := sampleOf(h.graph, h.last, time.Now())
		s.Status = h.result.Status
		p.terminal.println(strings.TrimRight(console.Summary(&s.Sample, took), "\n"))
	}
	if h.result.Status == "SUSPENDED" {
		p.terminal.println("\nto resume: " + p.resume())
	}
	switch {
	case errors.Is(err, ErrCanceled):
		p.terminal.println("canceled; to go on from the last checkpoint: " + p.resume())
		return exitCanceled
	case err != nil:
		p.terminal.println(err.Error())
		return exitFailed
	}
	return exitFinished
}

// resume is the command that goes on where this one stopped.
func (p *program) resume() string {
	words := append(invocation(), p.job...)
	skip := false
	for _, arg := range p.args {
		name, _, joined := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case skip:
			skip = false
		case strings.HasPrefix(arg, "-") && name == "restore":
			skip = !joined
		case strings.HasPrefix(arg, "-") && name == "overwrite":
		default:
			words = append(words, quote(arg))
		}
	}
	return strings.Join(append(words, "--restore", latest), " ")
}

// invocation is `go run PACKAGE` where the program was started so, else the path that it was started by.
func invocation() []string {
	exe := os.Args[0]
	if !strings.Contains(exe, string(filepath.Separator)+"go-build") {
		return []string{exe}
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return []string{exe}
	}
	if path, inModule := strings.CutPrefix(info.Path, info.Main.Path); inModule {
		return []string{"go", "run", "." + path}
	}
	return []string{"go", "run", info.Path}
}

// quote makes a word of the shell of an argument.
func quote(arg string) string {
	if arg != "" && !strings.ContainsAny(arg, " \t\n'\"\\$&|;<>()*?[]{}~`#!") {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
