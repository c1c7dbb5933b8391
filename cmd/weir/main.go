// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Command weir is a cluster and its command line: JobManager, TaskManager, and all that people do with jobs.
//
//	weir cluster up            a session cluster on this machine
//	weir run ./examples/flights -- --rate 2000
//	weir list | describe | cancel | stop | savepoint | checkpoint | logs | taskmanagers
//	weir jobmanager, weir taskmanager     its parts, for a supervisor of your own
//
// Each command speaks REST to a JobManager, but those that are one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weir-stream/weir/internal/restclient"
)

// Exit codes; that of an attached run is the job's.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitCanceled    = 130
)

func main() {
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	os.Exit(execute(context.Background(), os.Args[1:], os.Stdout, os.Stderr, interrupts))
}

// execute runs one command line.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer, interrupts <-chan os.Signal) int {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	app := &app{out: stdout, err: stderr, interrupts: interrupts, interrupted: func() { cancel(errInterrupted) }}
	root := app.root() //nolint:contextcheck // commands get the context when they run
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var exit exitError
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &exit):
		if exit.err != nil {
			fmt.Fprintln(stderr, "weir: "+exit.err.Error())
		}
		return exit.code
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "weir: %v\n`%s --help` explains\n", err, strings.TrimSpace("weir "+usage.command))
		return exitUsage
	case errors.Is(context.Cause(ctx), errInterrupted):
		fmt.Fprintln(stderr, "weir: "+errInterrupted.Error())
		return exitCanceled
	case errors.Is(err, restclient.ErrUnreachable):
		fmt.Fprintln(stderr, "weir: "+err.Error())
		return exitUnreachable
	default:
		fmt.Fprintln(stderr, "weir: "+err.Error())
		return exitFailed
	}
}

// exitError ends the process with a code that is not the one for failures.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return fmt.Sprintf("exit code %d: %v", e.code, e.err) }

func (e exitError) Unwrap() error { return e.err }

// usageError is a wrong command line.
type usageError struct {
	command string
	err     error
}

func (e usageError) Error() string { return e.err.Error() }

func (e usageError) Unwrap() error { return e.err }

const rootHelp = `Weir is a distributed, stateful stream processor. A job is a Go program of its own; weir runs it on a cluster.

  weir cluster up --taskmanagers 2 --slots 4     start a session cluster on this machine
  weir run ./examples/flights -- --rate 2000     build a job, run it there, and show its progress
  weir list                                      see what runs

Jobs are named by their id, a unique beginning of it, or their name.

Exit codes: 0 done; 1 failed; 2 wrong arguments or configuration; 3 no JobManager is reached; 130 canceled or interrupted. ` +
	"`weir run`" + ` of
an attached job ends with the job's: 0 finished, 1 failed, 130 canceled.`

// root is the tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "weir", Short: "A distributed, stateful stream processor", Long: rootHelp,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if err := a.load(c); err != nil {
				return err
			}
			if c.Annotations[ownInterrupts] == "" {
				a.endOnInterrupt(c.Context())
			}
			return nil
		},
		Args: commands,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError{c.Name(), err} })
	f := root.PersistentFlags()
	f.StringVar(&a.flags.config, "config", "", "configuration file (default: weir.yaml in the working directory, if it is there)")
	f.StringArrayVarP(&a.flags.settings, "define", "D", nil, "set an option: `key=value`; the config command lists them")
	f.StringVarP(&a.flags.output, "output", "o", "text", "form of the output: text, or json for programs")
	f.StringVarP(&a.flags.rest, "jobmanager-rest", "m", "", "host:port of the REST API (default: rest.address and rest.port)")
	f.StringVar(&a.flags.dataDir, "data-dir", "", "directory of the cluster (default: data.dir)")
	root.AddGroup(&cobra.Group{ID: groupJobs, Title: "Jobs:"}, &cobra.Group{ID: groupCluster, Title: "Clusters:"},
		&cobra.Group{ID: groupTools, Title: "Tools:"})
	a.addJobs(root)
	a.addCluster(root)
	a.addTools(root)
	return root
}

// ownInterrupts is the annotation of commands that take the interrupts themselves; those of all others end their context.
const ownInterrupts = "own-interrupts"

var errInterrupted = errors.New("interrupted")

// endOnInterrupt has the first interrupt end the context of the command.
func (a *app) endOnInterrupt(ctx context.Context) {
	go func() { // Owner: execute, whose end ends the context
		select {
		case <-a.interrupts:
			a.interrupted()
		case <-ctx.Done():
		}
	}()
}

// commands are the arguments of a command that only has others below it.
func commands(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	path := strings.TrimSpace(strings.TrimPrefix(c.CommandPath(), c.Root().Name()))
	return usageError{path, fmt.Errorf("no command is called %q", strings.TrimSpace(path+" "+args[0]))}
}

// Groups of commands in the help.
const (
	groupJobs    = "jobs"
	groupCluster = "cluster"
	groupTools   = "tools"
)

// exactly checks the number of arguments, and says what they are.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		return usageError{c.Name(), fmt.Errorf("want `%s`", c.UseLine())}
	}
}
