// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-stream/weir/internal/restclient"
)

func (a *app) infoCommand() *cobra.Command {
	return &cobra.Command{
		Use: "info PROGRAM [-- ARGUMENTS]", Short: "Show the plan of a job, without running it",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := a.openProgram(c.Context(), args[0], "")
			if err != nil {
				return err
			}
			defer p.Close()
			d, _, _, err := a.describe(c.Context(), p, args[1:], a.jobSettings())
			if err != nil {
				return err
			}
			if a.json() {
				_, err = fmt.Fprintf(a.out, "%s\n", d.GetPlan())
				return err
			}
			return showPlan(a.out, d)
		},
	}
}

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	c := &cobra.Command{
		Use: "logs JOB", Short: "Show what the processes of a job have logged", Args: exactly("JOB"),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			return a.withJob(c, args[0], func(k *restclient.Client, j restclient.JobOverview) error {
				err := a.showLogs(ctx, k, j.ID, follow)
				if follow && errors.Is(context.Cause(ctx), errInterrupted) {
					return nil // so it was asked to end
				}
				return err
			})
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is logged from now on, until Ctrl-C")
	return c
}

// logInterval is the time between two looks at the logs that are followed.
const logInterval = 500 * time.Millisecond

// showLogs writes all logs of a job, each below its name, and goes on with what is added if they are followed.
func (a *app) showLogs(ctx context.Context, k *restclient.Client, id string, follow bool) error {
	type place struct{ source, name string }
	offsets := map[place]int64{}
	var current place
	ticker := time.NewTicker(logInterval)
	defer ticker.Stop()
	for {
		files, err := k.JobLogs(ctx, id)
		if err != nil {
			return err
		}
		slices.SortFunc(files, func(x, y restclient.LogFile) int { return compareLogs(x, y) })
		for _, f := range files {
			at := place{f.Source, f.Name}
			if f.Size < offsets[at] {
				offsets[at] = 0 // it was rotated
			}
			if f.Size == offsets[at] {
				continue
			}
			if at != current {
				fmt.Fprintf(a.out, "==> %s %s <==\n", f.Source, f.Name)
				current = at
			}
			if offsets[at], err = copyLog(ctx, k, id, f, offsets[at], a.out); err != nil {
				return err
			}
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

func compareLogs(x, y restclient.LogFile) int {
	switch {
	case x.Source+"/"+x.Name < y.Source+"/"+y.Name:
		return -1
	case x == y:
		return 0
	default:
		return 1
	}
}

func (a *app) taskManagersCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "taskmanagers", Aliases: []string{"tm"}, Short: "List the TaskManagers, or drain one", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withClient(func(k *restclient.Client) error {
				all, err := k.TaskManagers(c.Context())
				if err != nil {
					return err
				}
				return a.print(all, func(w io.Writer) {
					rows := [][]string{{"ID", "SLOTS", "FREE", "MEMORY", "LAST HEARD", "VERSION", ""}}
					for _, t := range all {
						state := ""
						if t.Draining {
							state = "draining"
						}
						rows = append(rows, []string{
							t.ID, strconv.Itoa(t.Slots), strconv.Itoa(t.FreeSlots), fmt.Sprintf("%d MB", t.Memory.Process>>20),
							moment(t.SinceHeard), t.Version, state,
						})
					}
					table(w, rows)
				})
			})
		},
	}
	c.AddCommand(&cobra.Command{
		Use: "drain ID", Short: "Have a TaskManager take no further work, and end when it has none", Args: exactly("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withClient(func(k *restclient.Client) error {
				if err := k.Drain(c.Context(), args[0]); err != nil {
					return err
				}
				return a.print(map[string]string{"draining": args[0]}, func(w io.Writer) {
					fmt.Fprintf(w, "%s takes no further work\n", args[0])
				})
			})
		},
	})
	return c
}
