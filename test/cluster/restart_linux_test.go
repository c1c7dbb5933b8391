// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"maps"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/restclient"
	"github.com/weir-stream/weir/test/flightstest"
)

// TestDownAndUp suspends a job with its cluster, and resumes it with the next one in the same directory.
func TestDownAndUp(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--slots", "2")
	id := c.submit(flights(t), "--", "--rate", "4000", "--checkpoint-interval", "100ms", "--out", "out", "--parallelism", "2")
	c.running(id)
	begin(t, c.work, weir(t), append([]string{"cluster", "up"}, c.up...)...).wants(t, 1, "another cluster is up in this directory")
	if got := len(c.processes(jobManager)); got != 1 {
		t.Errorf("%d JobManagers, after a second cluster was refused", got)
	}
	c.weir("cluster", "down").wants(t, 0, "the cluster is down")
	if code := c.process.code(); code != 0 {
		t.Errorf("cluster up ended with %d:\n%s", code, c.process.text())
	}
	c.leavesNothing()
	c.weir("list", "-D", "rest.port=1").wants(t, 3) // a cluster of the user's may be on the default port

	c.start()
	c.weir("list", "--all").wants(t, 0, id)
	c.state(id, "FINISHED")
	flightstest.Compare(t, c.out("out"), flightstest.Reference(t, shipped))
	c.stop()
	c.start()
	c.weir("list", "--all").wants(t, 0, id, "FINISHED") // results are remembered
}

// TestInBackground starts a cluster that goes on without its terminal.
func TestInBackground(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	up := begin(t, c.work, weir(t), append([]string{"cluster", "up", "-d"}, c.up...)...)
	t.Cleanup(func() { c.weir("cluster", "down").code() })
	up.wants(t, 0, "the cluster is up", "1 TaskManager")
	c.weir("list").wants(t, 0, "no jobs")
	c.weir("cluster", "down").wants(t, 0)
	c.leavesNothing()
}

// TestClusterKilled kills the supervisor: all processes end with it, and the next one resumes the job.
func TestClusterKilled(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--taskmanagers", "2", "--slots", "1")
	id := c.submit(load(t), "-p", "2", "--", "--events", "40000", "--rate", "5000", "--out", "out")
	before := c.running(id)
	for range 2 {
		c.process.signal(t, syscall.SIGKILL)
		<-c.process.done
		if left := remaining(t, c.root); len(left) > 0 {
			t.Errorf("they outlive their cluster:\n%v", left)
		}
		c.start()
		c.job(id, "goes on from its checkpoint", func(p *restclient.Progress) bool {
			return p.Ended() || p.LastCheckpoint > before.LastCheckpoint && allRun(p)
		})
		before = c.running(id)
	}
	c.state(id, "FINISHED")
	compareLoad(t, rows(t, c.out("out")), 40000, 1000)
}

// commitsWithin is how long commits may take to resume when the JobManager or a JobMaster was killed: the interval of
// checkpoints and two seconds. The machine of a test may be busy, so it is given more; make bench-cluster measures.
const commitsWithin = 15 * time.Second

// TestJobManagerKilled kills it under a job: no task is restarted, records are committed again.
func TestJobManagerKilled(t *testing.T) {
	t.Parallel()
	adopts(t, jobManager)
}

// TestJobMasterKilled does that with the process of one job.
func TestJobMasterKilled(t *testing.T) {
	t.Parallel()
	adopts(t, jobMaster)
}

func adopts(t *testing.T, k kind) {
	t.Helper()
	c := startCluster(t, "--taskmanagers", "2", "--slots", "1")
	const events = 60000
	id := c.submit(load(t), "-p", "2", "--", "--events", itoa(events), "--rate", "3000", "--out", "out")
	c.running(id)
	tasks, executors := c.attempts(id), c.processes(executor)
	for range 2 {
		victim, completed := c.one(k), c.completed(id)
		files := committedFiles(t, c.out("out"))
		send(t, victim, syscall.SIGKILL)
		eventuallyIn(t, commitsWithin, "output is committed again", func() bool {
			return committedFiles(t, c.out("out")) > files+2
		}, nil)
		eventually(t, "there is another "+string(k), func() bool {
			now := c.processes(k)
			return len(now) == 1 && now[0].pid != victim.pid
		}, nil)
		c.running(id)
		if now := c.completed(id); now <= completed {
			t.Errorf("%d checkpoints are counted, %d were before the kill", now, completed)
		}
	}
	if now := c.attempts(id); !maps.Equal(tasks, now) {
		t.Errorf("tasks were restarted: %v, before %v", now, tasks)
	}
	if now := c.processes(executor); len(now) != len(executors) || now[0].pid != executors[0].pid {
		t.Errorf("executors were restarted: %v, before %v", now, executors)
	}
	c.state(id, "FINISHED")
	compareLoad(t, rows(t, c.out("out")), events, 1000)
}

func committedFiles(t testing.TB, dir string) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "part-*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// TestOtherJobsGoOn kills an executor of one job: that job restarts, and the tasks of the other are left alone.
func TestOtherJobsGoOn(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--taskmanagers", "1", "--slots", "4")
	args := []string{"--", "--events", "20000", "--rate", "4000", "--out"}
	first := c.submit(load(t), append([]string{"-p", "2", "--name", "first"}, append(args, "first")...)...)
	c.running(first)
	victim := c.one(executor)
	second := c.submit(load(t), append([]string{"-p", "2", "--name", "second"}, append(args, "second")...)...)
	c.running(second)
	before, untouched := c.attempts(first), c.attempts(second)
	send(t, victim, syscall.SIGKILL)
	c.job(first, "has restarted", func(p *restclient.Progress) bool { return p.Restarts > 0 && p.State == "RUNNING" || p.Ended() })
	for name, a := range c.attempts(first) {
		if before[name].ID == a.ID || a.Number == 0 {
			t.Errorf("%s was not restarted: %+v", name, a)
		}
	}
	if now := c.attempts(second); !maps.Equal(untouched, now) {
		t.Errorf("tasks of another job were restarted: %v, before %v", now, untouched)
	}
	for id, out := range map[string]string{first: "first", second: "second"} {
		c.state(id, "FINISHED")
		compareLoad(t, rows(t, c.out(out)), 20000, 1000)
	}
}

// TestFlightsKilled kills each part once under the flights job.
func TestFlightsKilled(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--taskmanagers", "2", "--slots", "1")
	id := c.submit(flights(t), "--", "--rate", "2500", "--checkpoint-interval", "100ms", "--out", "out", "--parallelism", "2")
	for _, k := range []kind{executor, jobMaster, taskManager, jobManager} {
		before := c.running(id).LastCheckpoint
		send(t, c.processes(k)[0], syscall.SIGKILL)
		c.job(id, "has another checkpoint after the end of a "+string(k), func(p *restclient.Progress) bool {
			return p.Ended() || p.LastCheckpoint > before && p.State == "RUNNING"
		})
	}
	c.state(id, "FINISHED")
	flightstest.Compare(t, c.out("out"), flightstest.Reference(t, shipped))
}
