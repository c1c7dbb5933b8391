// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/weir-stream/weir"
	"github.com/weir-stream/weir/bench/processes"
	"github.com/weir-stream/weir/internal/restclient"
	"github.com/weir-stream/weir/stream"
)

// The queries on a cluster of real processes: this program is the job program too, so a cluster that it starts runs it as
// JobMaster and executors, with a job for each query.

// clusterJobs are the queries as jobs with the flags that concern one.
func clusterJobs() map[string]weir.Build {
	jobs := map[string]weir.Build{}
	for _, q := range queries() {
		jobs[q.name] = func(env *stream.Env) error {
			c := Config{
				Events:          env.Flag("events", int64(1_000_000), "events to generate"),
				EventsPerSecond: env.Flag("tps", int64(100_000), "events in a second of event time"),
				OutOfOrder:      env.Flag("out-of-order", int64(1), "events in a row that are shuffled"),
				Seed:            uint64(env.Flag("seed", int64(1), "picks the sequence of events")),
			}
			s := settings{
				parallelism:        env.Flag("subtasks", 2, "subtasks of each step"),
				checkpointInterval: env.Flag("checkpoint-every", 10*time.Second, "time between checkpoints, 0 for none"),
				lingers:            env.Flag("linger", false, "don't end behind the last event"),
			}
			g, err := NewGenerator(c)
			if err != nil {
				return err
			}
			return q.job(g, s, new(counter))(env)
		}
	}
	return jobs
}

// arguments are those of a job of clusterJobs.
func (o *options) arguments() []string {
	return []string{
		"--events", strconv.FormatInt(o.config.Events, 10), "--tps", strconv.FormatInt(o.config.EventsPerSecond, 10),
		"--out-of-order", strconv.FormatInt(o.config.OutOfOrder, 10), "--seed", strconv.FormatUint(o.config.Seed, 10),
		"--subtasks", strconv.Itoa(o.parallelism), "--checkpoint-every", o.checkpointInterval.String(),
	}
}

// sessionCluster is a cluster that the queries share.
type sessionCluster struct {
	*processes.Cluster
	program string
	// arguments are those of each job, which reads so many events.
	arguments []string
	events    int64
}

// memory is that of a TaskManager.
const memory = "8gb"

// startSession builds the cluster's binary into dir and starts a cluster with slots for the subtasks, spread over its
// TaskManagers.
func startSession(ctx context.Context, dir string, o *options) (*sessionCluster, error) {
	binary, err := processes.Build(ctx, dir, "./cmd/weir")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	slots := (o.parallelism + o.taskManagers - 1) / o.taskManagers
	c, err := processes.Start(ctx, binary, "--taskmanagers", strconv.Itoa(o.taskManagers), "--slots", strconv.Itoa(slots),
		"-D", "taskmanager.memory.process.size="+memory)
	if err != nil {
		return nil, err
	}
	s := &sessionCluster{Cluster: c, arguments: o.arguments(), events: o.config.Events}
	err = s.Await(ctx, "all slots are there", func() bool {
		n, err := c.Slots(ctx)
		return err == nil && n == o.taskManagers*slots
	})
	if err == nil {
		s.program, err = c.Upload(ctx, self)
	}
	if err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return s, nil
}

// run runs the job of a query to its end. Its time is from the start of the job to its end, with the start of its
// processes; CPU time is that of all processes of the cluster. Records go through sockets here anyway.
func (s *sessionCluster) run(ctx context.Context, q query, w way) (spent, error) {
	before, err := s.spent()
	if err != nil {
		return spent{}, err
	}
	id, err := s.REST.Run(ctx, s.program, restclient.Submission{
		Job: q.name, Arguments: s.arguments, Name: q.name,
		Settings: map[string]string{objectReuse: strconv.FormatBool(w.objectReuse)},
	})
	if err != nil {
		return spent{}, err
	}
	var last *restclient.Progress
	err = s.Await(ctx, "the job has ended", func() bool {
		p, err := s.REST.Progress(ctx, id)
		if err == nil {
			last = p
		}
		return err == nil && p.Ended()
	})
	if err != nil {
		return spent{}, err
	}
	if last.State != "FINISHED" {
		return spent{}, fmt.Errorf("the job is %s: %s", last.State, last.Failure)
	}
	// What its processes took is known once their parents have seen their end.
	if err := s.awaitNoJob(ctx); err != nil {
		return spent{}, err
	}
	after, err := s.spent()
	return spent{
		Seconds:    (time.Duration(last.EndTime-last.StartTime) * time.Millisecond).Seconds(),
		CPUSeconds: (after - before).Seconds(), Rows: last.RecordsOut,
	}, err
}

func (s *sessionCluster) awaitNoJob(ctx context.Context) error {
	return s.Await(ctx, "its processes have ended", func() bool {
		all := s.Tree()
		return len(all[processes.JobMaster])+len(all[processes.Executor]) == 0
	})
}

// checkpoint takes one of a job that has read all events.
func (s *sessionCluster) checkpoint(ctx context.Context, q query) (held, error) {
	id, err := s.REST.Run(ctx, s.program, restclient.Submission{Job: q.name, Arguments: append(slices.Clip(s.arguments), "--linger"), Name: q.name})
	if err != nil {
		return held{}, err
	}
	p := &restclient.Progress{}
	err = s.Await(ctx, "the job has read all events", func() bool {
		var err error
		p, err = s.REST.Progress(ctx, id)
		return err == nil && (p.RecordsIn >= s.events || p.Ended())
	})
	if err == nil {
		_, err = s.REST.Checkpoint(ctx, id)
	}
	if err == nil {
		p, err = s.REST.Progress(ctx, id)
	}
	if err := errors.Join(err, s.REST.Cancel(ctx, id), s.awaitNoJob(ctx)); err != nil {
		return held{}, err
	}
	return held{Bytes: p.LastCheckpointBytes, Seconds: (time.Duration(p.LastCheckpointDuration) * time.Millisecond).Seconds()}, nil
}

// spent is the CPU time of the JobManager, the TaskManagers and their children.
func (s *sessionCluster) spent() (time.Duration, error) {
	all := s.Tree()
	return processes.Spent(append(all[processes.JobManager], all[processes.TaskManager]...)...)
}
