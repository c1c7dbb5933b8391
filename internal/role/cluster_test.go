// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package role_test

import (
	"log/slog"
	"maps"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/jobmanager/resourcemanager"
	rmcore "github.com/weir-stream/weir/internal/jobmanager/resourcemanager/core"
	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
	"github.com/weir-stream/weir/internal/taskmanager"
	tmcore "github.com/weir-stream/weir/internal/taskmanager/core"
)

const (
	jobID     = "0123456789abcdef0123456789abcdef"
	heartbeat = 100 * time.Millisecond
)

// cluster is the test's own JobManager and TaskManagers, whose JobMasters and executors are children in their roles.
type cluster struct {
	t *testing.T
	// job is the id of the job, arguments are those that its executors get.
	job       string
	arguments []string
	router    *rpc.Router
	dir       string
	summaries chan *weirpb.JobSummary
	replies   chan *weirpb.JobReply
	number    int64
	// certificates are, by TaskManager, the directories of those whose executors meet by protected TCP; nil for executors
	// on one host.
	certificates map[string]string
	settings     map[string]string
}

func newCluster(t *testing.T, arguments ...string) *cluster {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	c := &cluster{
		t: t, job: jobID, arguments: arguments, router: rpc.NewRouter(logger), dir: t.TempDir(),
		summaries: make(chan *weirpb.JobSummary, 4096), replies: make(chan *weirpb.JobReply, 16),
	}
	rm, err := resourcemanager.Start(rmcore.Config{
		Incarnation: "a", Heartbeat: heartbeat, HeartbeatTimeout: 100 * heartbeat,
	}, c.router)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rm.Stop)
	unbind, err := c.router.Bind("dispatcher", func(e *weirpb.Envelope) {
		if s := e.GetJobSummary(); s != nil {
			c.summaries <- s
		}
		if r := e.GetJobReply(); r != nil {
			c.replies <- r
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unbind)
	c.startTaskManager("taskmanager-a", logger)
	c.startTaskManager("taskmanager-b", logger)
	return c
}

func (c *cluster) startTaskManager(id string, logger *slog.Logger) {
	c.t.Helper()
	m, err := taskmanager.Start(taskmanager.Config{
		Config: tmcore.Config{
			ID: id, Incarnation: "1", ResourceManager: resourcemanager.Name, Slots: 1, Heartbeat: heartbeat,
			OfferTimeout: time.Minute, JobMasterTimeout: time.Minute,
		},
		Network: c.router, Logger: logger, StopTimeout: 30 * time.Second, Executor: c.newExecutor,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if err := m.Stop(); err != nil {
			c.t.Error(err)
		}
	})
}

func (c *cluster) spec(role weirpb.Role, job string) *weirpb.RoleSpec {
	settings := map[string]string{
		"parallelism.default": "2", "heartbeat.interval": heartbeat.String(),
		"execution.checkpointing.interval": "100 ms", "execution.checkpointing.savepoint-dir": "savepoints",
	}
	maps.Copy(settings, c.settings)
	return &weirpb.RoleSpec{Role: role, JobId: job, Dir: c.dir, Arguments: c.arguments, Settings: settings}
}

// lead starts the JobMaster of the job; the function ends it.
func (c *cluster) lead(change func(*weirpb.RoleSpec)) (*process.Process, *weirpb.RoleReady) {
	c.t.Helper()
	spec := c.spec(weirpb.Role_ROLE_JOB_MASTER, c.job)
	spec.JobMaster = &weirpb.JobMasterSpec{
		ResourceManager: resourcemanager.Name, Dispatcher: "dispatcher", CheckpointDir: filepath.Join(c.dir, "checkpoints"),
	}
	if change != nil {
		change(spec)
	}
	link := &link{ready: make(chan struct{})}
	attachment := c.router.Attach(link, false)
	p, a, err := start(c.t, spec, attachment.Receive)
	if err != nil {
		c.t.Fatal(err)
	}
	link.Process = p
	close(link.ready)
	c.t.Cleanup(func() { attachment.Detach("the test ends") })
	return p, a.Ready
}

// link is a peer that is known before its process has started.
type link struct {
	ready chan struct{}
	*process.Process
}

func (l *link) Send(f *weirpb.Frame) bool {
	select {
	case <-l.ready:
		return l.Process.Send(f)
	default:
		return false
	}
}

// newExecutor implements taskmanager.Config.Executor by a child.
func (c *cluster) newExecutor(r taskmanager.ExecutorRequest) (taskmanager.Executor, error) {
	x := &relay{request: r, next: r.Now, gone: make(chan struct{})}
	spec := c.spec(weirpb.Role_ROLE_EXECUTOR, r.JobID)
	spec.Executor = &weirpb.ExecutorSpec{
		TaskManager: r.TaskManager, Incarnation: r.Incarnation, HostId: "h", Listen: "127.0.0.1:0",
		CheckpointDir: filepath.Join(c.dir, "checkpoints"), Socket: filepath.Join(c.t.TempDir(), "s"), MemoryBytes: 256 << 20, Slots: 1, HeartbeatMillis: heartbeat.Milliseconds(),
	}
	if dir := c.certificates[r.TaskManager]; dir != "" {
		spec.Executor.HostId, spec.Executor.Certificates = r.TaskManager, dir
	}
	x.wg.Go(func() {
		p, _, err := start(c.t, spec, x.receive)
		if err != nil {
			if c.t.Context().Err() == nil { // the test goes on
				c.t.Errorf("executor: %v", err)
			}
			return
		}
		if !r.Post(func() { x.started(p) }) {
			p.Stop(0)
		}
	})
	return x, nil
}

// relay passes messages between a TaskManager and a child.
type relay struct {
	request taskmanager.ExecutorRequest
	process *process.Process
	master  string
	epoch   int64
	waiting []*weirpb.Envelope
	next    time.Time
	wg      sync.WaitGroup
	once    sync.Once
	gone    chan struct{}
}

func (x *relay) started(p *process.Process) {
	x.process = p
	for _, e := range x.waiting {
		x.pass(e)
	}
	x.waiting = nil
}

func (x *relay) receive(f *weirpb.Frame) {
	e := f.GetEnvelope()
	if e == nil {
		return
	}
	x.request.Post(func() {
		if r := e.GetExecutorReport(); r != nil {
			r.Allocations = x.request.Allocations()
		}
		if e.GetTo() == "" {
			e.Epoch, e.To = x.epoch, x.master
		}
		if e.GetTo() != "" {
			x.request.Send(e.GetTo(), e)
		}
	})
}

func (x *relay) pass(e *weirpb.Envelope) {
	if x.process == nil {
		x.waiting = append(x.waiting, e)
		return
	}
	for _, m := range []*weirpb.Envelope{{
		Protocol: rpc.Protocol, From: x.request.TaskManager, To: x.request.TaskManager, JobId: x.request.JobID,
		Body: &weirpb.Envelope_ExecutorSlots{ExecutorSlots: &weirpb.ExecutorSlots{Allocations: x.request.Allocations()}},
	}, e} {
		x.process.Send(&weirpb.Frame{Body: &weirpb.Frame_Envelope{Envelope: m}})
	}
}

func (x *relay) Receive(e *weirpb.Envelope, usable func(string) bool) {
	x.master, x.epoch = e.GetFrom(), e.GetEpoch()
	for _, task := range e.GetDeployTasks().GetTasks() {
		usable(task.GetAllocationId())
	}
	x.pass(e)
}

func (x *relay) Tick(now time.Time, _ []string) { x.next = now.Add(heartbeat) }

func (x *relay) Next() time.Time { return x.next }

func (x *relay) Cancel() {
	x.once.Do(func() {
		p := x.process
		// Owner: Wait, which the TaskManager calls before it ends.
		go func() {
			if p != nil {
				p.Stop(10 * time.Second)
			}
			x.wg.Wait()
			close(x.gone)
		}()
	})
}

func (x *relay) Idle() bool { return x.Wait(0) }

func (x *relay) Wait(timeout time.Duration) bool {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-x.gone:
		return true
	case <-timer.C:
		return false
	}
}

// await returns the first summary that f accepts.
func (c *cluster) await(what string, f func(*weirpb.JobSummary) bool) *weirpb.JobSummary {
	c.t.Helper()
	timer := time.NewTimer(60 * time.Second)
	defer timer.Stop()
	var last *weirpb.JobSummary
	for {
		select {
		case last = <-c.summaries:
			if f(last) {
				return last
			}
		case <-timer.C:
			c.t.Fatalf("not %s in time; the last summary is %v", what, last)
		}
	}
}

func running(s *weirpb.JobSummary) bool {
	return s.GetTasks()["RUNNING"] == 4 && s.GetState() == "RUNNING"
}

func ended(s *weirpb.JobSummary) bool { return s.GetResult() != nil }

// ask sends a request and waits for its answer.
func (c *cluster) ask(r *weirpb.JobRequest) *weirpb.JobReply {
	c.t.Helper()
	c.number++
	r.Number = c.number
	for range 2 { // messages may be doubled
		c.router.Send(&weirpb.Envelope{
			Protocol: rpc.Protocol, From: "dispatcher", To: "job/" + c.job, JobId: c.job,
			Body: &weirpb.Envelope_JobRequest{JobRequest: r},
		})
	}
	select {
	case a := <-c.replies:
		if a.GetNumber() != r.GetNumber() {
			c.t.Fatalf("answer %v to %v", a, r)
		}
		return a
	case <-time.After(60 * time.Second):
		c.t.Fatalf("no answer to %v", r)
		return nil
	}
}
