// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weir-stream/weir/bench/processes"
	"github.com/weir-stream/weir/internal/restclient"
)

// measureStart measures how long clusters take to come up.
func (b *bench) measureStart(ctx context.Context) error {
	var rest, slots, ran series
	for range b.rounds {
		c, err := processes.Start(ctx, b.weir, "--taskmanagers", "2", "--slots", "2")
		if err != nil {
			return err
		}
		rest = append(rest, time.Since(c.Began))
		err = c.AwaitEvery(ctx, processes.MeasurePause, "all slots are registered", func() bool {
			n, err := c.Slots(ctx)
			return err == nil && n == 4
		})
		slots = append(slots, time.Since(c.Began))
		var all []int
		for _, pids := range c.Tree() {
			all = append(all, pids...)
		}
		ran = append(ran, processes.CPU(all...))
		if err := errors.Join(err, c.Stop()); err != nil {
			return err
		}
	}
	b.add("`cluster up` to the first REST answer", rest.String(), "100 ms")
	b.add("`cluster up` to all slots of two TaskManagers", slots.String(), "300 ms")
	b.add("CPU time of the four processes by then", ran.String(), "")
	return nil
}

// measureSubmit measures how long it takes from the submission of a program that the cluster has to its first result.
func (b *bench) measureSubmit(ctx context.Context) error {
	return b.with(ctx, func(c *processes.Cluster) error {
		program, err := c.Upload(ctx, b.job)
		if err != nil {
			return err
		}
		var took series
		for i := range b.rounds + 1 {
			w, err := watch(c, "s"+strconv.Itoa(i))
			if err != nil {
				return err
			}
			began := time.Now()
			id, err := c.REST.Run(ctx, program, restclient.Submission{Arguments: []string{"--watch", w.socket}, Parallelism: 1})
			if err != nil {
				return err
			}
			first, err := w.next(ctx, func(sign) bool { return true })
			if err := errors.Join(err, c.Cancel(ctx, id)); err != nil {
				return err
			}
			w.close()
			if i > 0 { // the first also copies the program to the TaskManager
				took = append(took, first.at.Sub(began))
			}
		}
		b.add("submission of a cached program to the first record at the sink", took.String(), "500 ms")
		return nil
	}, "--taskmanagers", "1", "--slots", "2")
}

// settleTime is how long processes are left alone before they count as idle.
const settleTime = 3 * time.Second

// measureIdle measures what processes take that have nothing to do.
func (b *bench) measureIdle(ctx context.Context) error {
	return b.with(ctx, func(c *processes.Cluster) error {
		jm, err := c.One(ctx, processes.JobManager)
		if err != nil {
			return err
		}
		tm, err := c.One(ctx, processes.TaskManager)
		if err != nil {
			return err
		}
		if err := b.idle("idle ", "40 MB resident", map[processes.Kind]int{processes.JobManager: jm, processes.TaskManager: tm}); err != nil {
			return err
		}
		program, err := c.Upload(ctx, b.job)
		if err != nil {
			return err
		}
		id, err := c.REST.Run(ctx, program, restclient.Submission{Arguments: idleJob(), Parallelism: 1})
		if err != nil {
			return err
		}
		if err := c.Running(ctx, id, 1); err != nil {
			return err
		}
		jobs := map[processes.Kind]int{}
		for _, k := range []processes.Kind{processes.JobMaster, processes.Executor} {
			if jobs[k], err = c.One(ctx, k); err != nil {
				return err
			}
		}
		if err := b.idle("an idle job's ", "25 MB private, 0.1 %", jobs); err != nil {
			return err
		}
		return c.Cancel(ctx, id)
	}, "--taskmanagers", "1", "--slots", "2")
}

// idleJob are the arguments of a job that has nothing to do but checkpoints every ten seconds.
func idleJob() []string { return []string{"--rate", "0.001", "--checkpoint-interval", "10s"} }

// idle measures processes over the idle time.
func (b *bench) idle(prefix, bar string, pids map[processes.Kind]int) error {
	time.Sleep(settleTime)
	before := map[processes.Kind]time.Duration{}
	for k, pid := range pids {
		before[k] = processes.CPU(pid)
	}
	began := time.Now()
	time.Sleep(b.idleTime)
	for _, k := range []processes.Kind{processes.JobManager, processes.TaskManager, processes.JobMaster, processes.Executor} {
		pid := pids[k]
		if pid == 0 {
			continue
		}
		share := 100 * (processes.CPU(pid) - before[k]).Seconds() / time.Since(began).Seconds()
		m, err := processes.MemoryOf(pid)
		if err != nil {
			return err
		}
		b.add(prefix+string(k), fmt.Sprintf("%.1f MB resident, %.1f MB private, %.3f %% of a core",
			megabytes(m.Resident), megabytes(m.Private), share), bar)
	}
	return nil
}

func megabytes(n int64) float64 { return float64(n) / (1 << 20) }

// rowBytes is the state of a key of the job.
const rowBytes = 1000

// measureKill measures how soon the loss of a process is noticed, and when all subtasks have output again.
func (b *bench) measureKill(ctx context.Context, k processes.Kind, stateMB int, bar string) error {
	memory := strconv.Itoa(1024+4*stateMB) + "mb"
	return b.with(ctx, func(c *processes.Cluster) error {
		program, err := c.Upload(ctx, b.job)
		if err != nil {
			return err
		}
		w, err := watch(c, "s")
		if err != nil {
			return err
		}
		defer w.close()
		keys := stateMB * 1_000_000 / rowBytes
		id, err := c.REST.Run(ctx, program, restclient.Submission{
			Arguments:   []string{"--watch", w.socket, "--keys", strconv.Itoa(keys), "--rate", strconv.Itoa(max(20_000, keys/20))},
			Parallelism: 2,
		})
		if err != nil {
			return err
		}
		if err := filled(ctx, c, id, int64(keys)); err != nil {
			return err
		}
		var noticed, again series
		for range b.kills {
			n, a, err := kill(ctx, c, w, id, k)
			if err != nil {
				return err
			}
			noticed, again = append(noticed, n), append(again, a)
		}
		what := fmt.Sprintf("`kill -9` of %s, %d MB of state: ", k, stateMB)
		b.add(what+"noticed", noticed.String(), "100 ms")
		b.add(what+"output of all subtasks again", again.String(), bar)
		return c.Cancel(ctx, id)
	}, "--taskmanagers", "2", "--slots", "1", "-D", "taskmanager.memory.process.size="+memory)
}

// filled waits until a job has all of its state in a checkpoint.
func filled(ctx context.Context, c *processes.Cluster, id string, keys int64) error {
	after := int64(0)
	return c.Await(ctx, "the state is there", func() bool {
		p, err := c.REST.Progress(ctx, id)
		if err != nil {
			return false
		}
		if after == 0 && p.RecordsIn > keys+keys/hotDivisor {
			after = p.LastCheckpoint + 1
		}
		return after > 0 && p.LastCheckpoint > after
	})
}

// hotDivisor is the share of the keys that come again before the state counts as whole.
const hotDivisor = 10

// kill kills a process once a checkpoint has completed, and measures what follows.
func kill(ctx context.Context, c *processes.Cluster, w *watcher, id string, k processes.Kind) (noticed, again time.Duration, err error) {
	if err := c.Running(ctx, id, 2); err != nil {
		return 0, 0, err
	}
	p, err := c.REST.Progress(ctx, id)
	if err != nil {
		return 0, 0, err
	}
	last := p.LastCheckpoint
	if err := c.Await(ctx, "a checkpoint completes", func() bool {
		p, err = c.REST.Progress(ctx, id)
		return err == nil && p.LastCheckpoint > last
	}); err != nil {
		return 0, 0, err
	}
	victims := c.Tree()[k]
	if len(victims) != 2 {
		return 0, 0, fmt.Errorf("there are %d processes of kind %s", len(victims), k)
	}
	killed := time.Now()
	if err := syscall.Kill(victims[0], syscall.SIGKILL); err != nil {
		return 0, 0, fmt.Errorf("kill the %s: %w", k, err)
	}
	seen := map[int]bool{}
	s, err := w.next(ctx, func(s sign) bool {
		seen[s.subtask] = seen[s.subtask] || s.opened.After(killed)
		return seen[0] && seen[1]
	})
	if err != nil {
		return 0, 0, err
	}
	at, err := lastFailure(ctx, c, id)
	return at.Sub(killed.Truncate(time.Millisecond)), s.at.Sub(killed), err
}

// lastFailure is when the JobMaster noticed the last failure of a job.
func lastFailure(ctx context.Context, c *processes.Cluster, id string) (time.Time, error) {
	var answer struct {
		History struct {
			Entries []struct {
				Timestamp int64 `json:"timestamp"`
			} `json:"entries"`
		} `json:"exceptionHistory"`
	}
	if err := c.REST.Get(ctx, "/jobs/"+id+"/exceptions", &answer); err != nil {
		return time.Time{}, err
	}
	last := int64(0)
	for _, e := range answer.History.Entries {
		last = max(last, e.Timestamp)
	}
	if last == 0 {
		return time.Time{}, errors.New("the job tells of no failure")
	}
	return time.UnixMilli(last), nil
}

// measureMany measures how fast the REST API answers with many idle jobs.
func (b *bench) measureMany(ctx context.Context) error {
	return b.with(ctx, func(c *processes.Cluster) error {
		program, err := c.Upload(ctx, b.job)
		if err != nil {
			return err
		}
		began := time.Now()
		var ids []string
		for range b.jobs {
			id, err := c.REST.Run(ctx, program, restclient.Submission{Arguments: idleJob(), Parallelism: 1})
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		for _, id := range ids {
			if err := c.Running(ctx, id, 1); err != nil {
				return err
			}
		}
		what := fmt.Sprintf("%d idle jobs: ", b.jobs)
		b.add(what+"all submitted and running", time.Since(began).Round(10*time.Millisecond).String(), "")
		if err := b.askPages(ctx, c, ids); err != nil {
			return err
		}
		return b.manyIdle(c, what)
	}, "--taskmanagers", "2", "--slots", strconv.Itoa((b.jobs+1)/2), "-D", "taskmanager.memory.process.size=8gb")
}

// manyIdle adds what the processes of many idle jobs take.
func (b *bench) manyIdle(c *processes.Cluster, what string) error {
	all := c.Tree()
	before := map[processes.Kind]time.Duration{}
	for k, pids := range all {
		before[k] = processes.CPU(pids...)
	}
	began := time.Now()
	time.Sleep(b.idleTime)
	for _, k := range []processes.Kind{processes.JobManager, processes.TaskManager, processes.JobMaster, processes.Executor} {
		share := 100 * (processes.CPU(all[k]...) - before[k]).Seconds() / time.Since(began).Seconds() / float64(len(all[k]))
		var most processes.Memory
		for _, pid := range all[k] {
			m, err := processes.MemoryOf(pid)
			if err != nil {
				return err
			}
			most = processes.Memory{Resident: max(most.Resident, m.Resident), Private: max(most.Private, m.Private)}
		}
		b.add(what+"each "+string(k), fmt.Sprintf("at most %.1f MB resident, %.1f MB private; %.3f %% of a core in the mean",
			megabytes(most.Resident), megabytes(most.Private), share), "")
	}
	return nil
}

// askPages asks for each page of each job, and for those of the cluster as often.
func (b *bench) askPages(ctx context.Context, c *processes.Cluster, ids []string) error {
	workers, err := c.REST.TaskManagers(ctx)
	if err != nil {
		return err
	}
	var all series
	worst, worstPage := time.Duration(0), ""
	ask := func(path string, into any) error {
		began := time.Now()
		err := c.REST.Get(ctx, path, into)
		took := time.Since(began)
		all = append(all, took)
		if took > worst {
			worst, worstPage = took, path
		}
		return err
	}
	var ignored any
	for i, id := range ids {
		var job struct {
			Vertices []struct {
				ID string `json:"id"`
			} `json:"vertices"`
		}
		pages := []string{
			"/overview", "/config", "/jobs", "/jobs/overview", "/taskmanagers", "/taskmanagers/" + workers[i%len(workers)].ID,
			"/jobmanager/config", "/jobmanager/metrics",
		}
		err := ask("/jobs/"+id, &job)
		for _, p := range []string{"plan", "config", "exceptions", "checkpoints", "checkpoints/config", "accumulators", "metrics"} {
			pages = append(pages, "/jobs/"+id+"/"+p)
		}
		for _, v := range job.Vertices {
			for _, p := range []string{"", "/subtasktimes", "/taskmanagers", "/metrics", "/watermarks", "/backpressure", "/subtasks/0"} {
				pages = append(pages, "/jobs/"+id+"/vertices/"+v.ID+p)
			}
		}
		for _, p := range pages {
			err = errors.Join(err, ask(p, &ignored))
		}
		if err != nil {
			return err
		}
	}
	slices.Sort(all)
	b.add(fmt.Sprintf("%d idle jobs: answers to %d requests for overview and detail pages", len(ids), len(all)),
		fmt.Sprintf("median %s, p99 %s, most %s (%s)", short(all[len(all)/2]), short(all[len(all)*99/100]), short(worst),
			strings.NewReplacer(ids[0], "ID").Replace(worstPage)), "p99 50 ms")
	return nil
}

// with starts a cluster, calls f and ends the cluster.
func (b *bench) with(ctx context.Context, f func(c *processes.Cluster) error, up ...string) error {
	c, err := processes.Start(ctx, b.weir, up...)
	if err != nil {
		return err
	}
	err = f(c)
	stopped := c.Stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, c.Output())
	}
	return errors.Join(err, stopped)
}
