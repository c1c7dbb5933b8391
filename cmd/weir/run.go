// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/config"
	"github.com/weir-stream/weir/internal/restclient"
)

// runOptions are the flags of run.
type runOptions struct {
	detached     bool
	parallelism  int
	restore      string
	allow        bool
	name, target string
}

const runHelp = `Build PROGRAM, a package of Go or a built program, for the platform of the cluster, upload it and run its job
there. What follows -- are the arguments of the job; where a program has several jobs, the first picks one.

Progress is shown until the job ends, and the exit code is the job's result: 0 finished, 1 failed, 130 canceled. Ctrl-C
detaches; the job goes on.

--target says where the job runs:
  session      on the cluster that is up, beside other jobs (the default)
  job          on a cluster of its own on this machine, which is gone when the job ends
  application  the same, and the program describes its jobs there, all of them if it has several; the client may leave at
               once. Paths in the arguments must be absolute`

func (a *app) runCommand() *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use: "run PROGRAM [-- ARGUMENTS]", Short: "Run a job on a cluster", Long: runHelp,
		Args: func(c *cobra.Command, args []string) error {
			if n := c.ArgsLenAtDash(); len(args) == 0 || n == 0 || n < 0 && len(args) > 1 || n > 1 {
				return usageError{c.Name(), errors.New("want `weir run PROGRAM -- ARGUMENTS`: arguments of the job come behind --")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			switch o.target {
			case "":
				o.target = a.config.String(config.ClusterTarget)
			case "session", "job", "application":
			default:
				return usageError{c.Name(), fmt.Errorf("--target %s: want session, job or application", o.target)}
			}
			if o.parallelism < 1 && c.Flags().Changed("parallelism") {
				return usageError{c.Name(), fmt.Errorf("--parallelism %d: want 1 or more", o.parallelism)}
			}
			if o.target != "session" {
				return a.runAlone(ctx, args[0], args[1:], o)
			}
			return a.withClient(func(k *restclient.Client) error { return a.runSession(ctx, k, args[0], args[1:], o) })
		},
	}
	f := c.Flags()
	f.BoolVarP(&o.detached, "detached", "d", false, "print the id of the job and leave")
	f.IntVarP(&o.parallelism, "parallelism", "p", 0, "subtasks of each step that sets none")
	f.StringVarP(&o.restore, "from-savepoint", "s", "", "path of the savepoint or checkpoint that the job begins from")
	f.BoolVarP(&o.allow, "allow-non-restored-state", "n", false, "drop state that has no place in the job any more")
	f.StringVar(&o.name, "name", "", "name of the job, in place of the program's")
	f.StringVarP(&o.target, "target", "t", "", "where to run: session, job or application (default: execution.target)")
	return c
}

// jobSettings are what the configuration says for jobs: the options of jobs, and those of the cluster that each JobMaster
// keeps to.
func (a *app) jobSettings() map[string]string {
	settings := a.config.Of(config.Job)
	for _, key := range []string{config.Heartbeat, config.HeartbeatTimeout, config.SlotRequestTimeout, config.TaskCancelTimeout} {
		if a.config.IsSet(key) {
			settings[key] = a.config.String(key)
		}
	}
	return settings
}

// runSession runs a job on the cluster that is up.
func (a *app) runSession(ctx context.Context, k *restclient.Client, target string, arguments []string, o runOptions) error {
	cluster, err := k.Cluster(ctx)
	if err != nil {
		return err
	}
	p, err := a.openProgram(ctx, target, cluster.Platform)
	if err != nil {
		return err
	}
	defer p.Close()
	settings := a.jobSettings()
	d, job, arguments, err := a.describe(ctx, p, arguments, settings)
	if err != nil {
		return err
	}
	id, err := a.submit(ctx, k, p, o, restclient.Submission{Job: job, Arguments: arguments, Settings: settings}, d)
	if err != nil {
		return err
	}
	return a.follow(ctx, k, id, o)
}

// submit uploads the program and starts its job.
func (a *app) submit(
	ctx context.Context, k *restclient.Client, p *program, o runOptions, s restclient.Submission, described proto.Message,
) (string, error) {
	program, err := upload(ctx, k, p)
	if err != nil {
		return "", err
	}
	if s.Described, err = proto.Marshal(described); err != nil {
		return "", err
	}
	s.Name, s.Parallelism, s.Restore, s.AllowNonRestoredState = o.name, o.parallelism, absolute(o.restore), o.allow
	if s.Dir, err = os.Getwd(); err != nil {
		return "", err
	}
	return k.Run(ctx, program, s)
}

// follow shows the progress of a job until it ends, unless the user wants to leave.
func (a *app) follow(ctx context.Context, k *restclient.Client, id string, o runOptions) error {
	if o.detached {
		return a.print(map[string]string{"jid": id}, func(w io.Writer) { fmt.Fprintln(w, id) })
	}
	if !a.json() {
		fmt.Fprintf(a.err, "job %s is submitted\n", id)
	}
	last, err := a.watch(ctx, k, id)
	if errors.Is(err, errInterrupted) {
		fmt.Fprintf(a.err, "detached; the job goes on. `weir cancel %s` ends it, `weir stop %s` ends it with a savepoint\n", id[:8], id[:8])
		return nil
	}
	if err != nil {
		return err
	}
	if err := a.print(last, func(w io.Writer) { fmt.Fprint(w, summary(last)) }); err != nil {
		return err
	}
	switch last.State {
	case "FINISHED":
		return nil
	case "CANCELED":
		return exitError{exitCanceled, fmt.Errorf("job %s was canceled", id)}
	default:
		return exitError{exitFailed, fmt.Errorf("job %s failed: %s", id, last.Failure)}
	}
}

// stopGrace is how long a process that has done its work may take to end.
const stopGrace = 5 * time.Second
