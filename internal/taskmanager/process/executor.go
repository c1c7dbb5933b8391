// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	child "github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
	"github.com/weir-stream/weir/internal/taskmanager"
)

const (
	// waitingMessagesMax bounds the messages that wait for a process that starts; the newest are lost then.
	waitingMessagesMax = 512
	// relayedMessagesMax bounds those of a child that wait for the TaskManager; its link is read no further then.
	relayedMessagesMax = 256
	// A process that ended is started again after backoffMin, each time twice as long up to backoffMax, and at once if it
	// had run for healthyAfter.
	backoffMin   = 100 * time.Millisecond
	backoffMax   = 5 * time.Second
	healthyAfter = 10 * time.Second
)

// phase is where an executor stands: asking -> starting -> ready, and from both of these back by waiting.
type phase uint8

const (
	asking   phase = iota // for the setup of the job
	starting              // fetching, or not ready yet
	ready
	waiting // for the time to start again
)

// executor is the process of one job, from its first slot here to its last. But for gone and what mu guards, it belongs to
// the TaskManager's goroutine.
type executor struct {
	worker  *Worker
	request taskmanager.ExecutorRequest
	logger  *slog.Logger
	// predecessor, if not nil, is closed when the last executor of the job here has left the directory and the log.
	predecessor <-chan struct{}
	phase       phase
	setup       *weirpb.JobSetup
	process     *child.Process // while ready
	// address is what its exchange was last reported by, as part of that report.
	address *weirpb.ExecutorReport
	// starts numbers the attempts to start a process; failures counts those since one ran well. since is when it was ready.
	starts, failures int
	since, retryAt   time.Time
	killed           string // why the TaskManager killed the process
	attempts         attempts
	jobMaster        string
	epoch            int64
	queue            []*weirpb.Envelope // for the process, once it is ready
	told             *weirpb.ExecutorSlots
	lost             *weirpb.ExecutorLost // to be repeated
	// lostNewest is the sequence of the message that brought the last of the lost attempts: older heartbeats say nothing.
	lostNewest int64
	next       time.Time
	relay      chan struct{}   // a token for each message of the child that waits
	ctx        context.Context // the executor's own, canceled by Cancel
	cancel     context.CancelCauseFunc
	gone       chan struct{} // closed when nothing is left
	wg         sync.WaitGroup
	mu         struct {
		sync.Mutex
		running  *child.Process
		canceled bool
	}
}

var _ taskmanager.Executor = (*executor)(nil)

func newExecutor(w *Worker, r taskmanager.ExecutorRequest, predecessor <-chan struct{}) *executor {
	x := &executor{
		worker: w, request: r, predecessor: predecessor, logger: w.config.Logger.With("job", r.JobID), next: r.Now,
		relay: make(chan struct{}, relayedMessagesMax), gone: make(chan struct{}),
	}
	x.ctx, x.cancel = context.WithCancelCause(w.ctx)
	return x
}

// Receive implements taskmanager.Executor.
func (x *executor) Receive(e *weirpb.Envelope, usable func(string) bool) {
	now := time.Now()
	if s := e.GetJobSetup(); s != nil {
		x.prepare(s)
		return
	}
	if e.GetEpoch() > x.epoch { // another JobMaster counts its messages from the beginning
		x.attempts.follow()
		x.lostNewest = 0
	}
	x.jobMaster, x.epoch = e.GetFrom(), max(x.epoch, e.GetEpoch())
	switch b := e.GetBody().(type) {
	case *weirpb.Envelope_DeployTasks:
		for _, t := range b.DeployTasks.GetTasks() {
			usable(t.GetAllocationId()) // the process knows by ExecutorSlots what it may use
		}
		x.attempts.deploy(b.DeployTasks, e.GetSequence())
		x.worker.board.name(x.request.JobID, b.DeployTasks.GetJobName())
	case *weirpb.Envelope_CancelTasks:
		x.attempts.cancel(b.CancelTasks.GetAttempts(), e.GetSequence(), now)
	case *weirpb.Envelope_JobMasterHeartbeat:
		x.heartbeat(b.JobMasterHeartbeat, e.GetSequence(), now)
	case *weirpb.Envelope_AnswerSlots:
		x.introduce()
	}
	x.pass(e)
}

// heartbeat takes what the JobMaster knows.
func (x *executor) heartbeat(h *weirpb.JobMasterHeartbeat, sequence int64, now time.Time) {
	if h.GetIncarnation() != x.request.Incarnation {
		return
	}
	if x.lost != nil && sequence > x.lostNewest && !h.GetReconciling() {
		x.lost.Attempts = slices.DeleteFunc(x.lost.Attempts, func(id int64) bool {
			return !slices.Contains(h.GetAttempts(), id) || slices.Contains(h.GetEnded(), id)
		})
		if len(x.lost.GetAttempts()) == 0 {
			x.lost = nil
		}
	}
	x.attempts.wanted(h, sequence, now)
}

// introduce tells a JobMaster that has just taken slots where the process is reached: it need not wait for a report.
func (x *executor) introduce() {
	if x.phase == ready && x.address != nil && len(x.attempts.byID) == 0 {
		x.report()
	}
	x.tellLost()
}

// pass hands a message to the process, now or when it is ready.
func (x *executor) pass(e *weirpb.Envelope) {
	if x.phase == ready && x.tellSlots() {
		x.process.Send(&weirpb.Frame{Body: &weirpb.Frame_Envelope{Envelope: e}}) // a lost one is said again
		return
	}
	if len(x.queue) < waitingMessagesMax {
		x.queue = append(x.queue, e)
	}
}

// tellSlots tells the process which slots are the job's, if that is news; false if it could not be told.
func (x *executor) tellSlots() bool {
	s := &weirpb.ExecutorSlots{Allocations: x.request.Allocations()}
	s.MemoryBytes = x.worker.memoryOf(len(s.GetAllocations()))
	if x.told != nil && slices.Equal(x.told.GetAllocations(), s.GetAllocations()) {
		return true
	}
	x.process.AllowMemory(s.GetMemoryBytes())
	if !x.process.Send(&weirpb.Frame{Body: &weirpb.Frame_Envelope{Envelope: &weirpb.Envelope{
		Protocol: x.worker.protocol, From: x.request.TaskManager, To: x.request.TaskManager,
		JobId: x.request.JobID, Epoch: x.epoch, Body: &weirpb.Envelope_ExecutorSlots{ExecutorSlots: s},
	}}}) {
		return false
	}
	x.told = s
	return true
}

// Tick implements taskmanager.Executor.
func (x *executor) Tick(now time.Time, _ []string) {
	if x.phase == waiting && !now.Before(x.retryAt) {
		x.start()
	}
	if x.phase == ready {
		x.tellSlots()
		x.killOverdue(now)
	}
	if now.Before(x.next) {
		return
	}
	x.next = now.Add(x.request.Heartbeat)
	if x.phase == asking {
		x.request.Send(dispatcher, &weirpb.Envelope{
			JobId: x.request.JobID,
			Body: &weirpb.Envelope_JobSetupRequest{
				JobSetupRequest: &weirpb.JobSetupRequest{JobId: x.request.JobID},
			},
		})
	}
	x.tellLost()
	if x.phase != ready {
		x.report()
	}
}

// Next implements taskmanager.Executor. While the process is well it needs no time of its own.
func (x *executor) Next() time.Time {
	switch {
	case x.phase == ready && x.lost == nil:
		return time.Time{}
	case x.phase == waiting && x.retryAt.Before(x.next):
		return x.retryAt
	}
	return x.next
}

// report tells the JobMaster, in place of the process, which slots it has here.
func (x *executor) report() {
	r := &weirpb.ExecutorReport{
		TaskManager: x.request.TaskManager, Incarnation: x.request.Incarnation, Allocations: x.request.Allocations(),
	}
	if x.phase == ready {
		r.DataAddress, r.Fingerprint, r.Process = x.address.GetDataAddress(), x.address.GetFingerprint(), x.address.GetProcess()
	}
	x.send(&weirpb.Envelope{Body: &weirpb.Envelope_ExecutorReport{ExecutorReport: r}})
}

func (x *executor) tellLost() {
	if x.lost != nil {
		x.send(&weirpb.Envelope{Body: &weirpb.Envelope_ExecutorLost{ExecutorLost: x.lost}})
	}
}

// send passes a message to the JobMaster, if it is known.
func (x *executor) send(e *weirpb.Envelope) {
	if x.jobMaster != "" {
		e.JobId, e.Epoch = x.request.JobID, x.epoch
		x.request.Send(x.jobMaster, e)
	}
}

// killOverdue kills a process of which a task does not end: a goroutine can't be killed.
func (x *executor) killOverdue(now time.Time) {
	timeout := x.worker.config.CancelTimeout
	id, found := x.attempts.overdue(now.Add(-timeout))
	if !found || x.killed != "" {
		return
	}
	x.killed = fmt.Sprintf("attempt %d did not end within %v of being canceled, so the executor was killed", id, timeout)
	x.logger.Warn("executor is killed: a task does not end", "attempt", id, "timeout", timeout)
	x.process.Kill()
}

// fromChild sends a message of the process on.
func (x *executor) fromChild(e *weirpb.Envelope) {
	now := time.Now()
	switch b := e.GetBody().(type) {
	case *weirpb.Envelope_ExecutorReport:
		for _, s := range b.ExecutorReport.GetTasks() {
			x.attempts.report(s, now)
		}
		x.worker.board.show(x.request.JobID, b.ExecutorReport.GetTasks(), now)
		x.address = &weirpb.ExecutorReport{
			DataAddress: b.ExecutorReport.GetDataAddress(), Fingerprint: b.ExecutorReport.GetFingerprint(),
			Process: b.ExecutorReport.GetProcess(),
		}
		b.ExecutorReport.Allocations = x.request.Allocations()
		x.request.Reported(e.GetTo())
	case *weirpb.Envelope_TaskStateChanged:
		x.attempts.report(b.TaskStateChanged.GetStatus(), now)
	}
	if strings.HasPrefix(e.GetTo(), "jobmaster/"+x.request.JobID+"/") {
		x.request.Send(e.GetTo(), e)
	}
}
