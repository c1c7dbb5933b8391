// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-stream/weir/internal/restclient"
)

// addJobs adds the commands that concern jobs on a cluster.
func (a *app) addJobs(root *cobra.Command) {
	for _, c := range []*cobra.Command{
		a.runCommand(), a.infoCommand(), a.listCommand(), a.describeCommand(), a.logsCommand(), a.cancelCommand(), a.stopCommand(),
		a.savepointCommand(), a.checkpointCommand(),
	} {
		c.GroupID = groupJobs
		root.AddCommand(c)
	}
}

func (a *app) listCommand() *cobra.Command {
	var running, scheduled, all bool
	c := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the jobs of the cluster", Args: cobra.NoArgs,
		Long: "List the jobs that have not ended; with --all also those that ended lately.",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withClient(func(k *restclient.Client) error {
				jobs, err := k.Jobs(c.Context())
				if err != nil {
					return err
				}
				jobs = slices.DeleteFunc(jobs, func(j restclient.JobOverview) bool {
					waits := j.State == "CREATED" || j.State == "INITIALIZING" || j.Tasks["running"] == 0
					switch {
					case all:
						return false
					case running != scheduled:
						return j.Ended() || waits != scheduled
					default:
						return j.Ended()
					}
				})
				slices.SortFunc(jobs, func(x, y restclient.JobOverview) int { return int(x.StartTime - y.StartTime) })
				return a.print(jobs, func(w io.Writer) { listJobs(w, jobs) })
			})
		},
	}
	c.Flags().BoolVarP(&running, "running", "r", false, "only jobs with running tasks")
	c.Flags().BoolVarP(&scheduled, "scheduled", "s", false, "only jobs that wait to run")
	c.Flags().BoolVarP(&all, "all", "a", false, "also jobs that have ended")
	return c
}

func listJobs(w io.Writer, jobs []restclient.JobOverview) {
	if len(jobs) == 0 {
		fmt.Fprintln(w, "no jobs")
		return
	}
	rows := [][]string{{"ID", "NAME", "STATE", "TASKS", "STARTED", "DURATION"}}
	for _, j := range jobs {
		rows = append(rows, []string{
			j.ID, j.Name, j.State, fmt.Sprintf("%d/%d running", j.Tasks["running"], j.Tasks["total"]),
			moment(j.StartTime), (time.Duration(j.Duration) * time.Millisecond).Round(time.Second).String(),
		})
	}
	table(w, rows)
}

// moment writes a time in Unix milliseconds for people.
func moment(millis int64) string {
	if millis <= 0 {
		return "-"
	}
	return time.UnixMilli(millis).Local().Format("2006-01-02 15:04:05")
}

// find returns the job that an argument names: by id, by a unique beginning of it, or by name. Of several with that name
// the one that has not ended counts.
func find(ctx context.Context, k *restclient.Client, arg string) (restclient.JobOverview, error) {
	jobs, err := k.Jobs(ctx)
	if err != nil {
		return restclient.JobOverview{}, err
	}
	var found []restclient.JobOverview
	for _, j := range jobs {
		if j.ID == arg || j.Name == arg || strings.HasPrefix(j.ID, arg) {
			found = append(found, j)
		}
	}
	if len(found) > 1 {
		if alive := slices.DeleteFunc(slices.Clone(found), func(j restclient.JobOverview) bool { return j.Ended() }); len(alive) > 0 {
			found = alive
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return restclient.JobOverview{}, fmt.Errorf("no job is called %q; `weir list --all` shows those that there are", arg)
	default:
		ids := make([]string, len(found))
		for i, j := range found {
			ids[i] = j.ID + " (" + j.Name + ", " + j.State + ")"
		}
		return restclient.JobOverview{}, fmt.Errorf("%q may be each of %s", arg, strings.Join(ids, ", "))
	}
}

// withClient calls f with a client.
func (a *app) withClient(f func(k *restclient.Client) error) error {
	k, err := a.client()
	if err != nil {
		return err
	}
	defer k.Close()
	return f(k)
}

// withJob calls f with the job that an argument names.
func (a *app) withJob(c *cobra.Command, arg string, f func(k *restclient.Client, j restclient.JobOverview) error) error {
	return a.withClient(func(k *restclient.Client) error {
		j, err := find(c.Context(), k, arg)
		if err != nil {
			return err
		}
		return f(k, j)
	})
}

func (a *app) describeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "describe JOB", Short: "Show a job: its steps, checkpoints and failures", Args: exactly("JOB"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withJob(c, args[0], func(k *restclient.Client, j restclient.JobOverview) error {
				var raw struct{ job, checkpoints, exceptions json.RawMessage }
				at := "/jobs/" + j.ID
				for path, to := range map[string]*json.RawMessage{at: &raw.job, at + "/checkpoints": &raw.checkpoints, at + "/exceptions": &raw.exceptions} {
					if err := k.Get(c.Context(), path, to); err != nil {
						return err
					}
				}
				if a.json() {
					return a.print(map[string]json.RawMessage{
						"job": raw.job, "checkpoints": raw.checkpoints, "exceptions": raw.exceptions,
					}, nil)
				}
				p, err := k.Progress(c.Context(), j.ID)
				if err != nil {
					return err
				}
				return describe(a.out, p, raw.job, raw.checkpoints, raw.exceptions)
			})
		},
	}
}

func (a *app) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use: "cancel JOB", Short: "End a job at once, without a checkpoint", Args: exactly("JOB"),
		Long: "End a job at once. Its checkpoints are removed unless it keeps them; `weir stop` ends a job with a savepoint.",
		RunE: func(c *cobra.Command, args []string) error {
			return a.withJob(c, args[0], func(k *restclient.Client, j restclient.JobOverview) error {
				if err := k.Cancel(c.Context(), j.ID); err != nil {
					return err
				}
				return a.print(map[string]string{"jid": j.ID}, func(w io.Writer) {
					fmt.Fprintf(w, "job %s (%s) is being canceled\n", j.ID, j.Name)
				})
			})
		},
	}
}

func (a *app) stopCommand() *cobra.Command {
	var dir string
	var drain bool
	c := &cobra.Command{
		Use: "stop JOB", Short: "End a job with a savepoint", Args: exactly("JOB"),
		Long: "Take a savepoint, commit its output and end the job as FINISHED. If the savepoint fails, the job goes on.\n" +
			"`weir run -s PATH` begins a new run from it.",
		RunE: func(c *cobra.Command, args []string) error {
			return a.withJob(c, args[0], func(k *restclient.Client, j restclient.JobOverview) error {
				location, err := k.Stop(c.Context(), j.ID, absolute(dir), drain)
				if err != nil {
					return err
				}
				return a.printSavepoint(j, "stopped with savepoint", location)
			})
		},
	}
	c.Flags().StringVarP(&dir, "savepoint-path", "p", "", "directory of savepoints (default: execution.checkpointing.savepoint-dir)")
	c.Flags().BoolVarP(&drain, "drain", "d", false, "end the input first: all windows and timers fire. The job can't go on from that")
	return c
}

func (a *app) printSavepoint(j restclient.JobOverview, what, location string) error {
	return a.print(map[string]string{"jid": j.ID, "savepoint": location}, func(w io.Writer) {
		fmt.Fprintf(w, "job %s (%s) %s %s\n", j.ID, j.Name, what, location)
	})
}

func (a *app) savepointCommand() *cobra.Command {
	var dispose string
	c := &cobra.Command{
		Use: "savepoint JOB [DIR]", Short: "Take a savepoint of a job, or delete one",
		Long: "Take a savepoint below DIR; the job goes on. With --dispose PATH, delete a savepoint instead.",
		Args: func(c *cobra.Command, args []string) error {
			if n := len(args); dispose == "" && (n < 1 || n > 2) || dispose != "" && n > 0 {
				return usageError{c.Name(), errors.New("want `weir savepoint JOB [DIR]` or `weir savepoint --dispose PATH`")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if dispose != "" {
				return a.withClient(func(k *restclient.Client) error {
					if err := k.Dispose(c.Context(), absolute(dispose)); err != nil {
						return err
					}
					return a.print(map[string]string{"disposed": dispose}, func(w io.Writer) {
						fmt.Fprintln(w, "savepoint "+dispose+" is deleted")
					})
				})
			}
			return a.withJob(c, args[0], func(k *restclient.Client, j restclient.JobOverview) error {
				dir := ""
				if len(args) > 1 {
					dir = absolute(args[1])
				}
				location, err := k.Savepoint(c.Context(), j.ID, dir)
				if err != nil {
					return err
				}
				return a.printSavepoint(j, "has savepoint", location)
			})
		},
	}
	c.Flags().StringVarP(&dispose, "dispose", "d", "", "delete the savepoint at this path")
	return c
}

func (a *app) checkpointCommand() *cobra.Command {
	return &cobra.Command{
		Use: "checkpoint JOB", Short: "Take a checkpoint of a job now", Args: exactly("JOB"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withJob(c, args[0], func(k *restclient.Client, j restclient.JobOverview) error {
				id, err := k.Checkpoint(c.Context(), j.ID)
				if err != nil {
					return err
				}
				return a.print(map[string]any{"jid": j.ID, "checkpoint": id}, func(w io.Writer) {
					fmt.Fprintf(w, "job %s (%s) has completed checkpoint %d\n", j.ID, j.Name, id)
				})
			})
		},
	}
}
