// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/restclient"
)

// cluster is one in a directory of its own, started by `weir cluster up` in the foreground.
type cluster struct {
	t testing.TB
	// root is removed at the end; data and work, where clients are, lie in it.
	root, data, work string
	// up starts the cluster: what follows `weir cluster up`.
	up []string
	// client is what each command of a client gets; ask is the directory that says where the JobManager is.
	client []string
	ask    string
	// timeout is that of a call by REST.
	timeout time.Duration
	// rest, if not nil, reaches the JobManager in place of a plain client.
	rest func(address string) *restclient.Client
	// process is that of the supervisor.
	process *command
}

// newCluster prepares a cluster and, at the end of the test, proves that nothing of it is left.
func newCluster(t testing.TB, up ...string) *cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("clusters take their time")
	}
	root := shortDir(t)
	c := &cluster{t: t, timeout: 10 * time.Second, root: root, data: filepath.Join(root, "d"), work: filepath.Join(root, "w")}
	if err := os.Mkdir(c.work, 0o700); err != nil {
		t.Fatal(err)
	}
	c.up = append([]string{
		"--data-dir", c.data, "-D", "rest.port=0", "-D", "jobmanager.rpc.port=0", "-D", "taskmanager.memory.process.size=256mb",
	}, up...)
	c.client, c.ask = []string{"--data-dir", c.data}, c.data
	t.Cleanup(c.leavesNothing)
	return c
}

// startCluster starts a cluster and waits until it is up; its end is that of the test.
func startCluster(t testing.TB, up ...string) *cluster {
	t.Helper()
	c := newCluster(t, up...)
	c.start()
	return c
}

// start starts the cluster, as often as it was ended.
func (c *cluster) start() {
	c.t.Helper()
	c.process = beginFor(c.t, forEver, c.work, weir(c.t), append([]string{"cluster", "up"}, c.up...)...)
	c.t.Cleanup(func() { // before begin's, which kills it
		if c.t.Failed() {
			c.t.Log(c.logs())
		}
		c.stop()
	})
	c.process.says(c.t, "the cluster is up")
}

// stop ends the cluster as an operator does with Ctrl-C.
func (c *cluster) stop() {
	c.t.Helper()
	if c.process.ended() {
		return
	}
	c.process.signal(c.t, syscall.SIGINT)
	if code := c.process.code(); code != 0 {
		c.t.Errorf("cluster up ended with %d:\n%s", code, c.process.text())
	}
}

// logs are the ends of the logs of a cluster whose test failed.
func (c *cluster) logs() string {
	var b strings.Builder
	for _, pattern := range []string{"log/*", "log/*/*", "taskmanager-*/log/*", "taskmanager-*/log/*/*", "jobmanager-*/log/*", "clusters/*/log/*"} {
		names, err := filepath.Glob(filepath.Join(c.data, pattern))
		if err != nil {
			continue
		}
		for _, name := range names {
			if text, err := os.ReadFile(name); err == nil && len(text) > 0 {
				fmt.Fprintf(&b, "--- %s\n%s\n", strings.TrimPrefix(name, c.data), text[max(0, len(text)-6000):])
			}
		}
	}
	return b.String()
}

// endMax is how long the processes of a cluster may take to notice that it has ended.
const endMax = 10 * time.Second

// leavesNothing fails the test if a process or socket of the cluster is left.
func (c *cluster) leavesNothing() {
	c.t.Helper()
	if left := remaining(c.t, c.root); len(left) > 0 {
		c.t.Errorf("processes are left:\n%s", strings.Join(left, "\n"))
	}
	if left := sockets(c.t, c.root); len(left) > 0 {
		c.t.Errorf("sockets are left: %q", left)
	}
	for _, name := range []string{"rest.address", "rpc.address"} {
		if text, err := os.ReadFile(filepath.Join(c.data, name)); err == nil {
			c.portIsFree(strings.TrimSpace(string(text)))
		}
	}
}

func (c *cluster) portIsFree(address string) {
	c.t.Helper()
	if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
		_ = conn.Close()
		c.t.Errorf("somebody still listens on %s", address)
	}
}

// remaining waits until no process has to do with a directory; it kills those that don't end, and returns them.
func remaining(t testing.TB, dir string) []string {
	t.Helper()
	end := time.Now().Add(endMax)
	left := processes(t, dir)
	for ; len(left) > 0 && time.Now().Before(end); left = processes(t, dir) {
		time.Sleep(pollInterval)
	}
	var names []string
	for _, p := range left {
		names = append(names, p.String())
		send(t, p, syscall.SIGKILL)
	}
	return names
}

// weir begins a command of a client.
func (c *cluster) weir(args ...string) *command {
	c.t.Helper()
	args = slices.Clone(args)
	at := len(args)
	if i := slices.Index(args, "--"); i >= 0 {
		at = i
	}
	return begin(c.t, c.work, weir(c.t), slices.Insert(args, at, c.client...)...)
}

// submit runs a program detached, and returns the id of its job.
func (c *cluster) submit(program string, args ...string) string {
	c.t.Helper()
	run := c.weir(append([]string{"run", "-d", program}, args...)...).wants(c.t, 0)
	id := strings.TrimSpace(run.out.String())
	if len(id) != 32 {
		c.t.Fatalf("the id of a job is %q", run.text())
	}
	return id
}

// api calls f with a client of the JobManager, wherever it is now, and returns its error.
func (c *cluster) api(f func(ctx context.Context, k *restclient.Client) error) error {
	text, err := os.ReadFile(filepath.Join(c.ask, "rest.address"))
	if err != nil {
		return err
	}
	address := strings.TrimSpace(string(text))
	k := restclient.New(restclient.Config{Address: address})
	if c.rest != nil {
		k = c.rest(address)
	}
	defer k.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), c.timeout)
	defer cancel()
	return f(ctx, k)
}

// progress is how a job is doing; nil while no JobManager answers.
func (c *cluster) progress(id string) *restclient.Progress {
	var p *restclient.Progress
	if err := c.api(func(ctx context.Context, k *restclient.Client) (err error) {
		p, err = k.Progress(ctx, id)
		return err
	}); err != nil {
		return nil
	}
	return p
}

// state waits until a job is in a state, and fails the test if it has ended in another.
func (c *cluster) state(id, state string) {
	c.t.Helper()
	c.job(id, "is "+state, func(p *restclient.Progress) bool { return p.State == state })
}

// running waits until all tasks of a job run and a checkpoint has completed.
func (c *cluster) running(id string) *restclient.Progress {
	c.t.Helper()
	return c.job(id, "runs and has a checkpoint", func(p *restclient.Progress) bool {
		return allRun(p) && p.LastCheckpoint > 0
	})
}

// allRun tells whether all tasks of a job run, but for those that have come to their end.
func allRun(p *restclient.Progress) bool {
	total := 0
	for _, n := range p.Tasks {
		total += n
	}
	return p.State == "RUNNING" && p.Tasks["RUNNING"] > 0 && p.Tasks["RUNNING"]+p.Tasks["FINISHED"] == total
}

// job waits for a condition of a job.
func (c *cluster) job(id, what string, condition func(p *restclient.Progress) bool) *restclient.Progress {
	c.t.Helper()
	var last *restclient.Progress
	eventually(c.t, "job "+id+" "+what, func() bool {
		p := c.progress(id)
		if p == nil {
			return false
		}
		last = p
		if !condition(p) && p.Ended() {
			c.t.Fatalf("job %s: want that it %s, but it is %s: %s", id, what, p.State, p.Failure)
		}
		return condition(p)
	}, func() string { return fmt.Sprintf("%+v\n%s", last, c.failures(id)) })
	return last
}

// failures is what a job says of its failures.
func (c *cluster) failures(id string) string {
	var answer json.RawMessage
	if err := c.api(func(ctx context.Context, k *restclient.Client) error {
		return k.Get(ctx, "/jobs/"+id+"/exceptions", &answer)
	}); err != nil {
		return err.Error()
	}
	return string(answer[:min(len(answer), 4000)])
}

// attempts are the ids of the present attempts of all subtasks of a job.
func (c *cluster) attempts(id string) map[string]attempt {
	c.t.Helper()
	var all map[string]attempt
	eventually(c.t, "the attempts of job "+id+" are known", func() bool {
		all = map[string]attempt{}
		return c.api(func(ctx context.Context, k *restclient.Client) error { return attempts(ctx, k, id, all) }) == nil
	}, nil)
	return all
}

// completed is how many checkpoints of a job have completed.
func (c *cluster) completed(id string) int64 {
	c.t.Helper()
	var answer struct{ Counts struct{ Completed int64 } }
	eventually(c.t, "the checkpoints of job "+id+" are counted", func() bool {
		return c.api(func(ctx context.Context, k *restclient.Client) error {
			return k.Get(ctx, "/jobs/"+id+"/checkpoints", &answer)
		}) == nil
	}, nil)
	return answer.Counts.Completed
}

// attempt is what the API tells of one.
type attempt struct{ ID, Number, Start int64 }

func attempts(ctx context.Context, k *restclient.Client, id string, all map[string]attempt) error {
	var job struct {
		Vertices []struct {
			ID string `json:"id"`
		} `json:"vertices"`
	}
	if err := k.Get(ctx, "/jobs/"+id, &job); err != nil {
		return err
	}
	for _, v := range job.Vertices {
		var vertex struct {
			Name     string `json:"name"`
			Subtasks []struct {
				Subtask int   `json:"subtask"`
				ID      int64 `json:"attempt-id"`
				Number  int64 `json:"attempt"`
				Start   int64 `json:"start-time"`
			} `json:"subtasks"`
		}
		if err := k.Get(ctx, "/jobs/"+id+"/vertices/"+v.ID, &vertex); err != nil {
			return err
		}
		for _, s := range vertex.Subtasks {
			all[fmt.Sprintf("%s (%d)", vertex.Name, s.Subtask)] = attempt{s.ID, s.Number, s.Start}
		}
	}
	return nil
}

// processes lists those of the cluster that are of a kind.
func (c *cluster) processes(k kind) []proc {
	c.t.Helper()
	return of(processes(c.t, c.root), k)
}

// one waits until there is exactly one process of a kind, and returns it.
func (c *cluster) one(k kind) proc {
	c.t.Helper()
	var all []proc
	eventually(c.t, fmt.Sprintf("there is one %s", k), func() bool {
		all = c.processes(k)
		return len(all) == 1
	}, func() string { return fmt.Sprint(all) })
	return all[0]
}

// out is a path below the directory of clients.
func (c *cluster) out(name string) string { return filepath.Join(c.work, name) }
