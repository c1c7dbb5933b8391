// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	child "github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// TestMain makes the test binary an executor too: the first argument of its job says what kind of one.
func TestMain(m *testing.M) {
	if os.Getenv(child.EnvRole) != "" {
		os.Exit(fakeExecutor())
	}
	goleak.VerifyTestMain(m)
}

// fakeExecutor answers messages as an executor does, without running anything.
func fakeExecutor() int {
	if err := syscall.SetNonblock(3, true); err != nil {
		return 8
	}
	frames := make(chan *weirpb.Frame, 1024)
	link := rpc.NewLink(os.NewFile(3, "link"), func(f *weirpb.Frame) { frames <- f })
	spec := (<-frames).GetSpec()
	kind := spec.GetArguments()[0]
	if kind == "crash" {
		panic("wrong from the start")
	}
	x := &fake{link: link, spec: spec, stubborn: kind == "stubborn"}
	link.Send(&weirpb.Frame{Body: &weirpb.Frame_Ready{Ready: &weirpb.RoleReady{
		Protocol: rpc.Protocol, Job: &weirpb.JobDescription{Plan: []byte(`{"nodes":[{"id":"v1","description":"sink"},{"id":"v0","description":"source"}]}`)},
	}}})
	fmt.Println("ready")
	for {
		select {
		case f := <-frames:
			x.handle(kind, f.GetEnvelope())
		case <-link.Done():
			return 0
		}
	}
}

type fake struct {
	link     *rpc.Link
	spec     *weirpb.RoleSpec
	jobName  string // of the JobMaster
	epoch    int64
	slots    *weirpb.ExecutorSlots
	stubborn bool
	tasks    []*weirpb.TaskStatus
}

func (x *fake) handle(kind string, e *weirpb.Envelope) {
	if s := e.GetExecutorSlots(); s != nil {
		x.slots = s
		x.report()
		return
	}
	if fresh := e.GetEpoch() > x.epoch; fresh {
		x.jobName, x.epoch = e.GetFrom(), e.GetEpoch()
		x.report()
	}
	for _, t := range e.GetDeployTasks().GetTasks() {
		x.state(t.GetAttempt(), weirpb.TaskState_TASK_STATE_RUNNING)
		x.tasks = append(x.tasks, &weirpb.TaskStatus{
			Attempt: t.GetAttempt(), State: weirpb.TaskState_TASK_STATE_RUNNING, Metrics: &weirpb.TaskMetrics{
				Operators: []*weirpb.OperatorMetrics{{Uid: "numbers", Name: "numbers", RecordsOut: 42}},
			},
		})
		x.report()
		switch kind {
		case "panic":
			panic("task went wrong")
		case "grow":
			grow()
		}
	}
	for _, id := range e.GetCancelTasks().GetAttempts() {
		if !x.stubborn {
			x.state(id, weirpb.TaskState_TASK_STATE_CANCELED)
		}
	}
}

// report shows what the executor was told: the number of its slots and their memory.
func (x *fake) report() {
	s := x.slots
	x.send(&weirpb.Envelope{Body: &weirpb.Envelope_ExecutorReport{ExecutorReport: &weirpb.ExecutorReport{
		TaskManager: x.spec.GetExecutor().GetTaskManager(), Incarnation: x.spec.GetExecutor().GetIncarnation(),
		DataAddress: fmt.Sprintf("%s %d", x.spec.GetExecutor().GetSocket(), s.GetMemoryBytes()),
		Fingerprint: uint64(len(s.GetAllocations())), Process: strconv.Itoa(os.Getpid()),
		Tasks: x.tasks,
	}}})
}

func (x *fake) state(attempt int64, s weirpb.TaskState) {
	x.send(&weirpb.Envelope{Body: &weirpb.Envelope_TaskStateChanged{TaskStateChanged: &weirpb.TaskStateChanged{
		Status: &weirpb.TaskStatus{Attempt: attempt, State: s},
	}}})
}

func (x *fake) send(e *weirpb.Envelope) {
	if x.jobName == "" {
		return
	}
	e.To, e.JobId, e.Epoch, e.Protocol = x.jobName, x.spec.GetJobId(), x.epoch, rpc.Protocol
	x.link.Send(&weirpb.Frame{Body: &weirpb.Frame_Envelope{Envelope: e}})
}

// grow takes memory until it is stopped, in a way that no collector can help.
func grow() {
	var all [][]byte
	for {
		block := make([]byte, 8<<20)
		for k := range block {
			block[k] = byte(k)
		}
		all = append(all, block)
		runtime.KeepAlive(all)
		time.Sleep(5 * time.Millisecond)
	}
}
