// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/artifacts"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

const (
	// patience is how long a test waits for what happens at once.
	patience = 20 * time.Second

	job    = "0123456789abcdef0123456789abcdef"
	master = "jobmaster/" + job + "/1"
)

// rig is a Worker, and a JobManager that does what a test says.
type rig struct {
	t      *testing.T
	worker *Worker
	router *rpc.Router
	kind   string // of executor
	got    chan *weirpb.Envelope
	// sequence numbers what is sent.
	sequence int64
	mu       sync.Mutex
}

// pipe is a Connection within the process.
type pipe struct {
	rig   *rig
	links [2]*rpc.Link
	ends  [2]*rpc.Attachment
}

func (p *pipe) Fetch(_ context.Context, _ string, into *artifacts.Store) error {
	f, err := os.Open(executable(p.rig.t))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, _, err = into.Put(f, 1<<30)
	return err
}

func (p *pipe) Stop() {
	for i := range p.links {
		_ = p.links[i].Close()
		p.ends[i].Detach("stopped")
	}
}

func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// hash is that of the test binary.
var hash = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hash")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := artifacts.Open(dir)
	if err != nil {
		return "", err
	}
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	sum, _, err := s.Put(f, 1<<30)
	return sum, err
})

func newRig(t *testing.T, kind string, c WorkerConfig) *rig {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	r := &rig{t: t, router: rpc.NewRouter(logger), kind: kind, got: make(chan *weirpb.Envelope, 4096)}
	for _, name := range []string{dispatcher, resourceManager, master} {
		unbind, err := r.router.Bind(name, r.receive)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(unbind)
	}
	c.ID, c.DataDir, c.Logger, c.Version = "tm", t.TempDir(), logger, "v1"
	c.Heartbeat = 50 * time.Millisecond
	c.Connect = func(u Uplink) Connection {
		a, b := net.Pipe()
		p := &pipe{rig: r}
		ready := make(chan struct{})
		receive := func(i int) func(*weirpb.Frame) {
			return func(f *weirpb.Frame) {
				<-ready
				p.ends[i].Receive(f)
			}
		}
		p.links = [2]*rpc.Link{rpc.NewLink(a, receive(0)), rpc.NewLink(b, receive(1))}
		p.ends = [2]*rpc.Attachment{u.Router.Attach(p.links[0], true), r.router.Attach(p.links[1], false)}
		close(ready)
		return p
	}
	var err error
	if r.worker, err = Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	return r
}

func (r *rig) stop() {
	if err := r.worker.Stop(); err != nil {
		r.t.Errorf("stop: %v", err)
	}
}

// receive answers for the Dispatcher and keeps the rest for the test.
func (r *rig) receive(e *weirpb.Envelope) {
	if e.GetJobSetupRequest() != nil {
		sum, err := hash()
		s := &weirpb.JobSetup{JobId: job, Artifact: sum, Spec: &weirpb.RoleSpec{JobId: job, Arguments: []string{r.kind}}}
		if err != nil {
			s.Error = err.Error()
		}
		r.send(dispatcher, &weirpb.Envelope{Body: &weirpb.Envelope_JobSetup{JobSetup: s}})
		return
	}
	select {
	case r.got <- e:
	default: // the test does not read
	}
}

func (r *rig) send(from string, e *weirpb.Envelope) {
	r.mu.Lock()
	r.sequence++
	e.Sequence = r.sequence
	r.mu.Unlock()
	e.Protocol, e.From, e.To, e.JobId = rpc.Protocol, from, "tm", job
	if from == master {
		e.Epoch = 1
	}
	r.router.Send(e)
}

// await returns the next message that is looked for.
func (r *rig) await(what string, is func(*weirpb.Envelope) bool) *weirpb.Envelope {
	r.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case e := <-r.got:
			if is(e) {
				return e
			}
		case <-timer.C:
			r.t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// offered has the ResourceManager give the job slots, with each report until they are offered.
func (r *rig) offered(ids ...string) {
	r.t.Helper()
	a := &weirpb.AllocateSlots{Incarnation: r.worker.incarnation}
	for k, id := range ids {
		a.Allocations = append(a.Allocations, &weirpb.Allocation{
			Slot: int32(k), AllocationId: id, JobId: job, JobMaster: master,
		})
	}
	allocate := func() {
		r.send(resourceManager, &weirpb.Envelope{Body: &weirpb.Envelope_AllocateSlots{AllocateSlots: a}})
	}
	allocate()
	r.await("offer", func(e *weirpb.Envelope) bool {
		if e.GetTaskManagerReport() != nil {
			allocate()
		}
		return len(e.GetOfferSlots().GetAllocations()) > 0
	})
}

// allocate gives the job slots, and returns the report of the process that knows of them.
func (r *rig) allocate(ids ...string) *weirpb.ExecutorReport {
	r.t.Helper()
	r.offered(ids...)
	r.send(master, &weirpb.Envelope{Body: &weirpb.Envelope_AnswerSlots{AnswerSlots: &weirpb.AnswerSlots{
		Incarnation: r.worker.incarnation, Accepted: ids,
	}}})
	return r.reported(len(ids))
}

// reported is the next report of a process that knows of so many slots.
func (r *rig) reported(slots int) *weirpb.ExecutorReport {
	r.t.Helper()
	return r.await("report of the process", func(e *weirpb.Envelope) bool {
		x := e.GetExecutorReport()
		return x.GetProcess() != "" && x.GetFingerprint() == uint64(slots)
	}).GetExecutorReport()
}

// deploy sends tasks for slot a.
func (r *rig) deploy(attempts ...int64) {
	d := &weirpb.DeployTasks{Incarnation: r.worker.incarnation}
	for _, id := range attempts {
		d.Tasks = append(d.Tasks, &weirpb.TaskDescriptor{Attempt: id, AllocationId: "a"})
	}
	r.send(master, &weirpb.Envelope{Body: &weirpb.Envelope_DeployTasks{DeployTasks: d}})
}

func (r *rig) heartbeat(allocations []string, attempts ...int64) {
	r.send(master, &weirpb.Envelope{Body: &weirpb.Envelope_JobMasterHeartbeat{JobMasterHeartbeat: &weirpb.JobMasterHeartbeat{
		Incarnation: r.worker.incarnation, Allocations: allocations, Attempts: attempts,
	}}})
}

func (r *rig) state(attempt int64, s weirpb.TaskState) {
	r.t.Helper()
	r.await("state of a task", func(e *weirpb.Envelope) bool {
		x := e.GetTaskStateChanged().GetStatus()
		return x.GetAttempt() == attempt && x.GetState() == s
	})
}

func (r *rig) lost() *weirpb.ExecutorLost {
	r.t.Helper()
	return r.await("loss of the executor", func(e *weirpb.Envelope) bool { return e.GetExecutorLost() != nil }).GetExecutorLost()
}

// ask has the Worker answer a request.
func (r *rig) ask(q *weirpb.WorkerRequest) *weirpb.WorkerReply {
	r.t.Helper()
	r.mu.Lock()
	q.Number = r.sequence + 1000
	r.mu.Unlock()
	r.send(dispatcher, &weirpb.Envelope{Body: &weirpb.Envelope_WorkerRequest{WorkerRequest: q}})
	return r.await("answer", func(e *weirpb.Envelope) bool { return e.GetWorkerReply().GetNumber() == q.GetNumber() }).GetWorkerReply()
}

func names(files []*weirpb.LogFile) []string {
	var all []string
	for _, f := range files {
		all = append(all, f.GetName())
	}
	slices.Sort(all)
	return all
}
