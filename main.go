// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/weir-stream/weir/internal/console"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobsettings"
	"github.com/weir-stream/weir/stream"
)

// Exit codes of Main.
const (
	exitFinished = 0
	exitFailed   = 1
	exitUsage    = 2
	exitCanceled = 130
)

// exitCodes says what they mean.
var exitCodes = [][2]string{
	{"0", "the job finished, or was stopped with a checkpoint that it can go on from"},
	{"1", "the job failed, could not be started, or was continued by another process"},
	{"2", "the arguments, or what the program describes, are wrong; nothing was started"},
	{"130", "ended at once by a second Ctrl-C, or canceled"},
}

// Main is the whole main of a program with one job. It owns flags, signals and logging, and does not return: the exit
// code is the job's result, 0 for a job that finished or was stopped with a checkpoint, 1 for one that failed, 2 for
// wrong arguments, 130 for one that was ended. In a process that a cluster started it does what that asks for. The first Ctrl-C, or SIGTERM, stops the job with a final checkpoint and
// prints the command that resumes it; the second ends it at once. --help lists the flags.
func Main(name string, build Build) {
	serveRole(map[string]Build{name: build})
	os.Exit(runMain(name, build, invocation(), os.Args[1:]))
}

// MainJobs is Main for a program with several jobs by name; the first argument picks one.
func MainJobs(jobs map[string]Build) {
	serveRole(jobs)
	os.Exit(runJobs(jobs, invocation(), os.Args[1:], os.Stdout, os.Stderr))
}

func runJobs(jobs map[string]Build, command string, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && jobs[args[0]] != nil {
		return runMain(args[0], jobs[args[0]], command+" "+quote(args[0]), args[1:])
	}
	text := helpOfJobs(command, jobs)
	if len(args) > 0 && strings.TrimLeft(args[0], "-") == "help" {
		fmt.Fprint(stdout, text)
		return exitFinished
	}
	if len(args) > 0 {
		text = fmt.Sprintf("no job is called %q\n\n", args[0]) + text
	}
	fmt.Fprint(stderr, text)
	return exitUsage
}

// garbagePercent lets the heap grow further between two collections than Go's default: records that live as long as a
// batch make garbage fast and hold little.
const garbagePercent = 400

// runMain runs a job; command is how the program is started up to the arguments that follow.
func runMain(name string, build Build, command string, args []string) int {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	a, err := parseArguments(args)
	if err != nil {
		return complain(err)
	}
	sg, err := stream.Describe(stream.Setup{Name: name, Args: a.job, Dir: workingDir(), Reserved: reserved}, build)
	if a.help {
		fmt.Print(help(command, name, sg.Flags))
		return exitFinished
	}
	if err != nil {
		return complain(err)
	}
	s, err := jobsettings.Parse(a.settings)
	if err != nil {
		return complain(err)
	}
	a.checkpointDir = cmp.Or(a.checkpointDir, s.CheckpointDir, filepath.Join(".weir", name))
	p := &program{
		name: name, terminal: console.NewTerminal(os.Stderr),
		resume: func(restore string) string { return resume(command, args, restore) },
	}
	return p.run(sg, s, a)
}

// complain says what is wrong before anything was started.
func complain(err error) int {
	fmt.Fprintf(os.Stderr, "%v\n", err)
	return exitUsage
}

// program is a run of Main.
type program struct {
	name string
	// resume is the command that starts the program again from a Restore.
	resume   func(restore string) string
	terminal *console.Terminal
}

func (p *program) run(sg *graph.StreamGraph, s jobsettings.Settings, a arguments) int {
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupts)

	ctx := context.Background()
	start := time.Now()
	type launched struct {
		handle *Handle
		err    error
	}
	started := make(chan launched, 1)
	go func() { // Owner: the process, which ends if it does not wait
		h, err := launch(ctx, sg, s, Options{
			CheckpointDir: a.checkpointDir, Restore: a.restore, AllowNonRestoredState: a.allowNonRestored,
			Logger: p.terminal.Logger(),
		})
		started <- launched{h, err}
	}()
	select {
	case <-interrupts:
		p.terminal.Println("ended before the job had started; to start it: " + p.resume(latest))
		return exitCanceled
	case l := <-started:
		if l.err != nil {
			p.terminal.Println(l.err.Error())
			return exitFailed
		}
		progress := &console.Progress{Start: start, StuckAfter: console.StuckAfter}
		if !p.watch(l.handle, progress, interrupts) {
			p.terminal.Println("ended at once; to go on from the last checkpoint: " + p.resume(latest))
			return exitCanceled
		}
		return p.conclude(l.handle, time.Since(start))
	}
}

// watch shows progress until the job has ended, and stops it on a signal. It returns false on a second one: the process
// is to end as if it had been killed, which harms nothing.
func (p *program) watch(h *Handle, progress *console.Progress, interrupts <-chan os.Signal) bool {
	ticker := time.NewTicker(p.terminal.Interval)
	defer ticker.Stop()
	stopping := false
	for {
		select {
		case <-h.Done():
			p.terminal.Clear()
			return true
		case <-interrupts:
			if stopping {
				return false
			}
			stopping = true
			p.terminal.Println("stopping with a final checkpoint; Ctrl-C again ends at once")
			h.job.Suspend()
		case <-ticker.C:
			p.terminal.Progress(progress.Line(&h.report(time.Now()).Sample))
		}
	}
}

// conclude prints the summary and what to do next.
func (p *program) conclude(h *Handle, took time.Duration) int {
	err := h.Wait()
	last := h.report(time.Now())
	if h.result.Earlier {
		p.terminal.Println(fmt.Sprintf("run %s of job %q has ended before: %s", h.JobID(), p.name, h.result.Status))
	} else {
		p.terminal.Println(strings.TrimRight(console.Summary(&last.Sample, took), "\n"))
	}
	switch {
	case errors.Is(err, ErrCanceled):
		return exitCanceled
	case err != nil:
		p.terminal.Println(err.Error())
		if h.result.Status == failed && last.Checkpoint.ID != 0 {
			p.terminal.Println("\nto begin a new run from its last checkpoint: " + p.resume(h.dir()))
		}
		return exitFailed
	case h.result.Status == suspended:
		p.terminal.Println("\nto resume: " + p.resume(latest))
	}
	return exitFinished
}
