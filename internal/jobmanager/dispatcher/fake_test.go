// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/artifacts"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// world is what outlives a Dispatcher: the disks, and what has become of runs in the checkpoint directory.
type world struct {
	t         *testing.T
	store     storage.Objects
	artifacts *artifacts.Store
	dir       string
	// describe is what programs describe; start what the start of a JobMaster ends with, nil if it works.
	describe func(spec *weirpb.RoleSpec) (*weirpb.Description, error)
	start    func(spec *weirpb.RoleSpec) error
	// lazy JobMasters send no summary by themselves.
	lazy bool
	// masters has each JobMaster that came about.
	masters chan *fakeMaster
	alive   atomic.Int64 // processes
	starts  atomic.Int64 // of JobMasters, tried
	mu      struct {
		sync.Mutex
		epochs map[string]int64
		// results are how runs have ended, as the checkpoint directory says.
		results map[string]*weirpb.JobResult
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, store: storage.Memory(), dir: t.TempDir(), masters: make(chan *fakeMaster, 1000)}
	var err error
	w.artifacts, err = artifacts.Open(t.TempDir())
	must(t, err)
	w.mu.epochs, w.mu.results = map[string]int64{}, map[string]*weirpb.JobResult{}
	w.describe = func(*weirpb.RoleSpec) (*weirpb.Description, error) {
		return &weirpb.Description{Jobs: []*weirpb.JobDescription{described("flights")}}, nil
	}
	w.start = func(*weirpb.RoleSpec) error { return nil }
	return w
}

func described(job string) *weirpb.JobDescription {
	return &weirpb.JobDescription{Job: job, Name: "the " + job, Fingerprint: 7, Plan: []byte(`{}`), SlotsNeeded: 2}
}

// config is that of a leader.
func (w *world) config(epoch int64) Config {
	logger := slog.New(slog.DiscardHandler)
	return Config{
		Epoch: epoch, Holder: "x", Store: w.store,
		Objects:   func(at string) storage.Objects { return storage.Files(storage.OS(), at) },
		Artifacts: w.artifacts, Router: rpc.NewRouter(logger), ResourceManager: "resourcemanager",
		LogDir: w.dir, CheckpointDir: w.dir, Logger: logger, start: w.startFake,
	}
}

// lead starts a Dispatcher; change adjusts its configuration.
func (w *world) lead(epoch int64, change ...func(*Config)) *Dispatcher {
	w.t.Helper()
	c := w.config(epoch)
	for _, f := range change {
		f(&c)
	}
	d, err := Start(w.t.Context(), c)
	must(w.t, err)
	return d
}

// master waits for the next JobMaster.
func (w *world) master() *fakeMaster {
	w.t.Helper()
	select {
	case m := <-w.masters:
		return m
	case <-time.After(time.Hour):
		w.t.Fatal("no JobMaster is started")
		return nil
	}
}

// quiet checks that no process is left.
func (w *world) quiet() {
	w.t.Helper()
	if n := w.alive.Load(); n != 0 {
		w.t.Errorf("%d processes are left", n)
	}
}

// program uploads a program.
func (w *world) program(d *Dispatcher, name string) rest.Program {
	w.t.Helper()
	p, err := d.Programs().Upload(w.t.Context(), name, bytes.NewReader(executable()))
	must(w.t, err)
	return p
}

// run uploads a program and submits its job.
func (w *world) run(d *Dispatcher) (id string, m *fakeMaster) {
	w.t.Helper()
	p := w.program(d, "flights")
	id, err := d.Programs().Run(w.t.Context(), rest.Run{Program: p.ID, Dir: "/"})
	must(w.t, err)
	return id, w.master()
}

// executable looks like a program for this machine.
func executable() []byte {
	var b bytes.Buffer
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Version: uint32(elf.EV_CURRENT), Ehsize: 64, Shentsize: 64, Phentsize: 56}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1
	h.Machine = uint16(map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH])
	_ = binary.Write(&b, binary.LittleEndian, h) // never fails
	return b.Bytes()
}

// fakeMaster is a process that takes its role on at once. Its frames go through a Router of its own, as a real one's do.
type fakeMaster struct {
	w       *world
	spec    *weirpb.RoleSpec
	router  *rpc.Router
	uplink  *rpc.Attachment
	unbind  func()
	receive func(*weirpb.Frame)
	epoch   int64
	hung    atomic.Bool
	// requests has what it was asked, but for its detail.
	requests chan *weirpb.JobRequest
	once     sync.Once
	done     chan struct{}
	wg       sync.WaitGroup
	mu       struct {
		sync.Mutex
		exit    process.Exit
		summary *weirpb.JobSummary
		queue   []*weirpb.Frame // to the parent
		wake    chan struct{}
		// mute stops the answers to requests for the detail.
		mute bool
	}
}

// startFake implements starter.
func (w *world) startFake(
	_ context.Context, c process.Config, spec *weirpb.RoleSpec, _ time.Duration,
) (child, *process.Answer, error) {
	if spec.GetRole() == weirpb.Role_ROLE_DESCRIBE {
		said, err := w.describe(spec)
		if err != nil {
			return nil, nil, err
		}
		return w.newFake(c, spec), &process.Answer{Description: said}, nil
	}
	w.starts.Add(1)
	if err := w.start(spec); err != nil {
		return nil, nil, err
	}
	m := w.newFake(c, spec)
	w.mu.Lock()
	w.mu.epochs[spec.GetJobId()]++
	m.epoch = w.mu.epochs[spec.GetJobId()]
	past := w.mu.results[spec.GetJobId()]
	w.mu.Unlock()
	m.mu.summary = &weirpb.JobSummary{
		JobId: spec.GetJobId(), Name: spec.GetName(), State: "RUNNING", Epoch: m.epoch, StartUnixMillis: 1,
	}
	m.uplink = m.router.Attach(m.toParent(), true)
	var err error
	m.unbind, err = m.router.Bind("job/"+spec.GetJobId(), m.asked)
	if err != nil {
		return nil, nil, err
	}
	if !w.lazy {
		m.say(nil)
		m.wg.Go(m.beat)
	}
	if past != nil {
		m.finish(past)
	}
	w.masters <- m
	return m, &process.Answer{Ready: &weirpb.RoleReady{Job: described("flights")}}, nil
}

func (w *world) newFake(c process.Config, spec *weirpb.RoleSpec) *fakeMaster {
	m := &fakeMaster{
		w: w, spec: spec, router: rpc.NewRouter(c.Logger), receive: c.Receive, done: make(chan struct{}),
		requests: make(chan *weirpb.JobRequest, 1000),
	}
	m.mu.wake = make(chan struct{}, 1)
	w.alive.Add(1)
	m.wg.Go(m.pump)
	return m
}

// beat sends the summary each second, unless the process hangs.
func (m *fakeMaster) beat() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if !m.hung.Load() {
				m.say(nil)
			}
		case <-m.done:
			return
		}
	}
}

// peer turns a function into an rpc.Peer.
type peer func(*weirpb.Frame) bool

func (p peer) Send(f *weirpb.Frame) bool { return p(f) }

func (m *fakeMaster) toParent() rpc.Peer {
	return peer(func(f *weirpb.Frame) bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.mu.queue = append(m.mu.queue, proto.CloneOf(f))
		select {
		case m.mu.wake <- struct{}{}:
		default:
		}
		return true
	})
}

// pump hands what was sent to the parent, in order.
func (m *fakeMaster) pump() {
	for {
		m.mu.Lock()
		queue := m.mu.queue
		m.mu.queue = nil
		m.mu.Unlock()
		for _, f := range queue {
			m.receive(f)
		}
		select {
		case <-m.mu.wake:
		case <-m.done:
			return
		}
	}
}

// Send implements child: a frame from the parent.
func (m *fakeMaster) Send(f *weirpb.Frame) bool {
	select {
	case <-m.done:
		return false
	default:
	}
	m.uplink.Receive(proto.CloneOf(f))
	return true
}

func (m *fakeMaster) Done() <-chan struct{} { return m.done }

func (m *fakeMaster) Exit() process.Exit {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.exit
}

// Stop implements child.
func (m *fakeMaster) Stop(time.Duration) { m.die(process.Exit{Killed: true, Code: -1}) }

// die ends the process.
func (m *fakeMaster) die(e process.Exit) {
	m.once.Do(func() {
		m.mu.Lock()
		m.mu.exit = e
		m.mu.Unlock()
		if m.unbind != nil {
			m.unbind()
			m.uplink.Detach("end of the process")
		}
		m.w.alive.Add(-1)
		close(m.done)
	})
	m.wg.Wait()
}

// crash ends the process as a panic would.
func (m *fakeMaster) crash() { m.die(process.Exit{Code: 2}) }

// say changes the summary and sends it.
func (m *fakeMaster) say(change func(*weirpb.JobSummary)) {
	m.mu.Lock()
	s := proto.CloneOf(m.mu.summary)
	if change != nil {
		change(s)
	}
	m.mu.summary = s
	m.mu.Unlock()
	m.router.Send(&weirpb.Envelope{
		Protocol: rpc.Protocol, From: "job/" + s.GetJobId(), To: m.spec.GetJobMaster().GetDispatcher(), JobId: s.GetJobId(),
		Epoch: m.epoch, Body: &weirpb.Envelope_JobSummary{JobSummary: s},
	})
}

// finish says that the job has ended for this JobMaster, unless another leads it or it had ended before.
func (m *fakeMaster) finish(r *weirpb.JobResult) {
	m.w.mu.Lock()
	id := m.spec.GetJobId()
	switch past := m.w.mu.results[id]; {
	case m.w.mu.epochs[id] > m.epoch:
		r = &weirpb.JobResult{State: stateFailed, Deposed: true}
	case past != nil:
		r = past
	case terminal(r.GetState()):
		m.w.mu.results[id] = r
	}
	m.w.mu.Unlock()
	m.say(func(s *weirpb.JobSummary) {
		s.State, s.Result, s.EndUnixMillis = r.GetState(), r, time.Now().UnixMilli()
		s.Tasks = map[string]int32{"FINISHED": 4}
	})
}

// asked takes a request.
func (m *fakeMaster) asked(e *weirpb.Envelope) {
	r := e.GetJobRequest()
	if r.GetDescribe() == nil {
		m.requests <- r
		return
	}
	m.mu.Lock()
	s, mute := m.mu.summary, m.mu.mute
	m.mu.Unlock()
	if !mute {
		m.reply(&weirpb.JobReply{Number: r.GetNumber(), Detail: &weirpb.JobDetail{
			JobId: s.GetJobId(), Name: s.GetName(), State: s.GetState(), Epoch: m.epoch, Restarts: r.GetNumber(),
		}})
	}
}

func (m *fakeMaster) reply(r *weirpb.JobReply) {
	m.router.Send(&weirpb.Envelope{
		Protocol: rpc.Protocol, From: "job/" + m.spec.GetJobId(), To: m.spec.GetJobMaster().GetDispatcher(),
		JobId: m.spec.GetJobId(), Epoch: m.epoch, Body: &weirpb.Envelope_JobReply{JobReply: r},
	})
}

// request waits for the next request.
func (m *fakeMaster) request() *weirpb.JobRequest {
	m.w.t.Helper()
	select {
	case r := <-m.requests:
		return r
	case <-time.After(time.Hour):
		m.w.t.Fatal("the JobMaster is asked nothing")
		return nil
	}
}

// await waits until the job has a state, and if that is an end, until it is stored.
func (w *world) await(d *Dispatcher, id string, state string) *weirpb.JobSummary {
	w.t.Helper()
	j, err := d.job(id)
	must(w.t, err)
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	err = j.await(ctx, func() bool { return j.mu.summary.GetState() == state && j.mu.ended == terminal(state) })
	if err != nil {
		w.t.Fatalf("job %s does not become %s: %v", id, state, j.current())
	}
	return j.current()
}

// ready waits until the job has a JobMaster that answers.
func (w *world) ready(d *Dispatcher, id string) {
	w.t.Helper()
	j, err := d.job(id)
	must(w.t, err)
	must(w.t, j.await(w.t.Context(), func() bool { return j.mu.ready }))
}

// bubble runs a test in which waiting takes no time.
func bubble(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t)) })
}

// silent is a starter whose programs never take a role on.
func silent(start starter, role weirpb.Role) starter {
	return func(
		ctx context.Context, c process.Config, spec *weirpb.RoleSpec, timeout time.Duration,
	) (child, *process.Answer, error) {
		if spec.GetRole() != role {
			return start(ctx, c, spec, timeout)
		}
		<-ctx.Done()
		return nil, nil, context.Cause(ctx)
	}
}
