// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	child "github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

var errEnded = errors.New("the job has no slot here any more")

// prepare takes the Dispatcher's answer.
func (x *executor) prepare(s *weirpb.JobSetup) {
	if x.phase != asking {
		return
	}
	if s.GetError() != "" {
		x.lose("the executor can't be started: "+s.GetError(), weirpb.FailureKind_FAILURE_KIND_WORLD)
		return // and asked again
	}
	x.setup = s
	x.start()
}

// start begins an attempt to have a process.
func (x *executor) start() {
	x.phase, x.killed, x.told, x.address = starting, "", nil, nil
	x.starts++
	number, slots := x.starts, len(x.request.Allocations())
	x.wg.Go(func() { x.live(number, slots) })
}

// live is one process, from the fetch of its program to its end.
func (x *executor) live(number, slots int) {
	p, err := x.launch(number, slots)
	if err != nil {
		x.request.Post(func() { x.failed(err) })
		return
	}
	x.request.Post(func() { x.launched(p) })
	<-p.Done()
	x.request.Post(func() { x.ended(p) })
}

// launch fetches the program and starts it in its role.
func (x *executor) launch(number, slots int) (*child.Process, error) {
	if x.predecessor != nil {
		select {
		case <-x.predecessor:
		case <-x.ctx.Done():
			return nil, errEnded
		}
	}
	path, err := x.worker.program(x.ctx, x.setup.GetArtifact())
	if err != nil {
		return nil, err
	}
	dir := x.worker.jobDir(x.request.JobID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of executor: %w", err)
	}
	memory := x.worker.memoryOf(slots)
	spec := proto.CloneOf(x.setup.GetSpec())
	spec.Role = weirpb.Role_ROLE_EXECUTOR
	spec.JobId = x.request.JobID
	spec.Executor = &weirpb.ExecutorSpec{
		TaskManager: x.request.TaskManager, Incarnation: x.request.Incarnation, HostId: x.worker.hostID,
		Socket: x.worker.socket(x.request.JobID, number), Listen: x.worker.config.Listen, Host: x.worker.config.Host,
		MemoryBytes: memory, Slots: int32(slots), HeartbeatMillis: x.request.Heartbeat.Milliseconds(),
		Fingerprint: x.setup.GetSpec().GetExecutor().GetFingerprint(), Certificates: x.worker.config.Certificates,
		CheckpointDir: x.setup.GetSpec().GetExecutor().GetCheckpointDir(), Begins: x.setup.GetSpec().GetExecutor().GetBegins(),
	}
	p, answer, err := child.StartRole(x.ctx, child.Config{
		Path: path, Args: spec.GetArguments(), Dir: dir, Log: filepath.Join(x.worker.logDir(), x.request.JobID, executorLog),
		MemoryBytes: memory, Cgroups: x.worker.cgroups, Watch: &x.worker.memory, Receive: x.receive, Logger: x.logger,
	}, spec, x.worker.config.StartTimeout)
	if err != nil {
		return nil, err
	}
	x.worker.board.begin(x.request.JobID, answer.Ready.GetJob().GetPlan())
	x.mu.Lock()
	canceled := x.mu.canceled
	x.mu.running = p
	x.mu.Unlock()
	if canceled {
		p.Stop(x.worker.config.CancelTimeout)
		return nil, errEnded
	}
	return p, nil
}

// receive takes a frame of the child, on a goroutine of its link.
func (x *executor) receive(f *weirpb.Frame) {
	e := f.GetEnvelope()
	if e.GetJobId() != x.request.JobID {
		return
	}
	select {
	case x.relay <- struct{}{}:
	case <-x.ctx.Done():
		return
	}
	if !x.request.Post(func() {
		<-x.relay
		x.fromChild(e)
	}) {
		<-x.relay
	}
}

// launched has a process take what waits for it.
func (x *executor) launched(p *child.Process) {
	if x.ctx.Err() != nil {
		return // Cancel ends it
	}
	x.phase, x.process, x.since = ready, p, time.Now()
	x.logger.Info("executor started", "pid", p.PID())
	queue := x.queue
	x.queue = nil
	if x.tellSlots() {
		x.introduceMaster()
		for _, e := range queue {
			x.pass(e)
		}
	}
}

// introduceMaster tells a new process who its JobMaster is, by an answer that answers nothing, so that it reports to it at
// once: nothing is deployed before the JobMaster knows where the process is reached.
func (x *executor) introduceMaster() {
	if x.jobMaster == "" {
		return
	}
	x.process.Send(&weirpb.Frame{Body: &weirpb.Frame_Envelope{Envelope: &weirpb.Envelope{
		Protocol: x.worker.protocol, From: x.jobMaster, To: x.request.TaskManager, JobId: x.request.JobID, Epoch: x.epoch,
		Body: &weirpb.Envelope_AnswerSlots{AnswerSlots: &weirpb.AnswerSlots{Incarnation: x.request.Incarnation}},
	}}})
}

// failed takes that no process came about.
func (x *executor) failed(err error) {
	if x.ctx.Err() != nil {
		return
	}
	x.lose(fmt.Sprintf("the executor can't be started: %v", err), child.KindOf(err))
	x.again()
}

// ended takes that the process has ended, which nobody but killOverdue asked it to.
func (x *executor) ended(p *child.Process) {
	if x.ctx.Err() != nil {
		return
	}
	exit, kind := p.Exit(), weirpb.FailureKind_FAILURE_KIND_WORLD
	reason := "the executor " + exit.String()
	switch {
	case x.killed != "":
		reason = x.killed
	case exit.OOM, exit.Signal == 0: // it crashed, or left
		kind = weirpb.FailureKind_FAILURE_KIND_USER
	}
	x.process = nil
	if time.Since(x.since) >= healthyAfter {
		x.failures = 0
	}
	x.lose(reason, kind)
	x.again()
}

// lose tells the JobMaster that all attempts of the process are gone, with those that waited for it.
func (x *executor) lose(reason string, kind weirpb.FailureKind) {
	x.logger.Warn("executor lost", "reason", reason)
	x.queue = nil
	x.worker.board.show(x.request.JobID, nil, time.Time{})
	x.lost = &weirpb.ExecutorLost{
		TaskManager: x.request.TaskManager, Incarnation: x.request.Incarnation, Reason: reason, Kind: kind,
	}
	x.lost.Attempts, x.lostNewest = x.attempts.lose()
	x.tellLost()
}

// again starts a process, at once or later.
func (x *executor) again() {
	x.failures++
	if x.failures == 1 && !x.since.IsZero() && time.Since(x.since) >= healthyAfter {
		x.start()
		return
	}
	x.phase = waiting
	x.retryAt = time.Now().Add(min(backoffMax, backoffMin<<min(x.failures-1, 10)))
}

// Cancel implements taskmanager.Executor.
func (x *executor) Cancel() {
	x.mu.Lock()
	first, p := !x.mu.canceled, x.mu.running
	x.mu.canceled = true
	x.mu.Unlock()
	if !first {
		return
	}
	x.cancel(errEnded)
	// Owner: Wait, which the TaskManager calls before it ends.
	go func() {
		if p != nil {
			p.Stop(x.worker.config.CancelTimeout)
		}
		x.wg.Wait()
		x.worker.board.end(x.request.JobID)
		x.worker.clear(x.request.JobID)
		close(x.gone)
	}()
}

// Idle implements taskmanager.Executor.
func (x *executor) Idle() bool {
	select {
	case <-x.gone:
		return true
	default:
		return false
	}
}

// Wait implements taskmanager.Executor.
func (x *executor) Wait(timeout time.Duration) bool {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-x.gone:
		return true
	case <-timer.C:
		return x.Idle()
	}
}
