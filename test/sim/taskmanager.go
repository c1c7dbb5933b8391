// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
	tmcore "github.com/weir-stream/weir/internal/taskmanager/core"
	executorcore "github.com/weir-stream/weir/internal/taskmanager/executor/core"
)

// taskManager is a Worker: the real slot table and executor, with model tasks.
type taskManager struct {
	s        *simulation
	id       string
	starts   int
	alive    bool
	slots    *tmcore.Slots
	executor *executorcore.Executor
	tasks    map[int64]*task
	sequence int64
	// process tells that executors are processes of their own, which can die alone; the present one is the processes-th.
	// lost is what has to be said of the last one that died, and how often it is still said.
	process   bool
	processes int
	lost      *weirpb.ExecutorLost
	lostTimes int
	// executorSequence numbers what such a process sends.
	executorSequence int64
	// generation tells timers of a crashed incarnation from those of the current one.
	generation int
}

func (s *simulation) startTaskManager(t *taskManager) {
	t.starts++
	t.generation++
	t.alive, t.tasks, t.executor, t.lost, t.sequence = true, map[int64]*task{}, nil, nil, 0
	address := t.id
	if t.process {
		address = ""
	}
	t.slots = tmcore.NewSlots(tmcore.Config{
		ID: t.id, Incarnation: t.incarnation(), DataAddress: address, ResourceManager: rmName,
		Slots: s.shape.slots, Heartbeat: heartbeat, OfferTimeout: 10 * heartbeatTimeout, JobMasterTimeout: 20 * heartbeatTimeout,
	}, s.w.now)
	s.w.endpoints[t.id] = t.receive
	s.w.trace("%s starts", t.id)
	t.tick()
}

// crash ends it without a word.
func (t *taskManager) crash() {
	t.s.w.trace("%s crashes", t.id)
	t.s.seen["TaskManager crashed"]++
	t.alive = false
	t.generation++
	delete(t.s.w.endpoints, t.id)
	for _, id := range sortedKeys(t.tasks) {
		t.tasks[id].die(errLost)
	}
	t.tasks = nil
	t.s.connectionLost(t.id)
}

// crashExecutor ends the executor's process; its TaskManager tells, and starts another.
func (t *taskManager) crashExecutor() {
	t.s.w.trace("executor of %s crashes", t.id)
	t.s.seen["executor crashed"]++
	t.lost = &weirpb.ExecutorLost{TaskManager: t.id, Incarnation: t.incarnation(), Reason: "killed"}
	t.lostTimes = 5
	t.lost.Attempts = t.executor.Live()
	for _, id := range sortedKeys(t.tasks) {
		t.tasks[id].die(errLost)
	}
	clear(t.tasks)
	t.executor = nil
	t.tellLost()
	g := t.generation
	t.s.w.after(t.s.w.delay(200*time.Millisecond), func() {
		if t.alive && t.generation == g {
			t.makeExecutor()
		}
	})
}

// tellLost tells the JobMaster of an executor that died, a few times.
func (t *taskManager) tellLost() {
	if t.lost == nil || t.lostTimes == 0 {
		return
	}
	t.lostTimes--
	for _, x := range t.slots.Slots() {
		if x.State != tmcore.Free && x.Epoch > 0 {
			t.send(x.JobMaster, &weirpb.Envelope{
				JobId: t.s.jobID, Epoch: x.Epoch, Body: &weirpb.Envelope_ExecutorLost{ExecutorLost: proto.CloneOf(t.lost)},
			})
			return
		}
	}
}

func (t *taskManager) incarnation() string { return fmt.Sprintf("%s.%d", t.id, t.starts) }

// tick calls the cores when they are due, and comes back.
func (t *taskManager) tick() {
	g := t.generation
	t.report()
	t.tellLost()
	t.slots.Tick(t.s.w.now)
	t.perform()
	next := t.slots.Next()
	if t.executor != nil && t.executor.Next().Before(next) {
		next = t.executor.Next()
	}
	t.s.w.after(max(time.Millisecond, next.Sub(t.s.w.now)), func() {
		if t.alive && t.generation == g {
			t.tick()
		}
	})
}

// report has the executor report if that is due.
func (t *taskManager) report() {
	if t.executor == nil || t.executor.Next().After(t.s.w.now) {
		return
	}
	for _, id := range t.executor.Live() {
		if k := t.tasks[id]; k != nil {
			t.executor.Observe(id, k.observed())
		}
	}
	t.executor.Tick(t.s.w.now, t.slots.Of(t.s.jobID))
}

func (t *taskManager) receive(e *weirpb.Envelope) {
	now := t.s.w.now
	if e.GetAllocateSlots() != nil {
		t.slots.Allocate(e, now)
		t.perform()
		return
	}
	if !t.slots.Admit(e) {
		return
	}
	switch {
	case e.GetAnswerSlots() != nil:
		t.slots.Answer(e, now)
		if len(e.GetAnswerSlots().GetAccepted()) > 0 {
			t.makeExecutor()
		}
		t.perform()
		return
	case e.GetJobMasterHeartbeat() != nil:
		t.slots.Heartbeat(e, now)
		if t.process && len(e.GetJobMasterHeartbeat().GetAllocations()) > 0 {
			t.makeExecutor()
		}
	case e.GetDeployTasks() != nil, e.GetCancelTasks() != nil:
		if !t.process {
			t.makeExecutor()
		}
	}
	if t.executor != nil {
		t.executor.Receive(e, func(allocation string) bool { return t.slots.Use(e, allocation, now) })
	} else {
		t.slots.Refuse(e)
	}
	t.report()
	t.perform()
}

func (t *taskManager) makeExecutor() {
	if t.executor != nil || !slices.ContainsFunc(t.slots.Slots(), func(x tmcore.Slot) bool { return x.Job == t.s.jobID }) {
		return
	}
	c := executorcore.Config{
		JobID: t.s.jobID, TaskManager: t.id, Incarnation: t.incarnation(), Heartbeat: heartbeat,
		Fingerprint: t.s.graph.Fingerprint,
	}
	if t.process {
		t.processes++
		t.executorSequence = 0
		c.Process = strconv.Itoa(t.processes)
		c.DataAddress = t.id + "/" + c.Process
	}
	t.executor = executorcore.NewExecutor(c, t.s.w.now)
}

// sendOf sends what the executor says.
func (t *taskManager) sendOf(to string, m *weirpb.Envelope) {
	if !t.process {
		t.send(to, m)
		return
	}
	t.executorSequence++
	m.Sequence = t.executorSequence
	t.s.w.send(t.id+"/executor", to, m)
}

func (t *taskManager) send(to string, m *weirpb.Envelope) {
	t.sequence++
	m.Sequence = t.sequence
	t.s.w.send(t.id, to, m)
}

// perform does what the cores say.
func (t *taskManager) perform() {
	for _, a := range t.slots.Take() {
		switch a := a.(type) {
		case tmcore.Send:
			t.send(a.To, a.Message)
		case tmcore.EndJob:
			for _, id := range sortedKeys(t.tasks) {
				t.tasks[id].die(nil)
			}
			clear(t.tasks)
			t.executor = nil
		}
	}
	if t.executor == nil {
		return
	}
	for _, a := range t.executor.Take() {
		if t.executor == nil {
			return
		}
		switch a := a.(type) {
		case executorcore.Send:
			t.sendOf(a.To, a.Message)
		case executorcore.Start:
			t.start(a)
		case executorcore.Cancel:
			if k := t.tasks[a.Attempt]; k != nil {
				t.s.w.after(t.s.w.delay(20*time.Millisecond), func() { k.end(weirpb.TaskState_TASK_STATE_CANCELED, "") })
			}
		case executorcore.Trigger:
			if k := t.tasks[a.Attempt]; k != nil {
				k.mail(func() { k.trigger(a) })
			}
		case executorcore.Assign:
			if k := t.tasks[a.Attempt]; k != nil {
				k.mail(func() { k.assign(a) })
			}
		case executorcore.Outcome:
			if k := t.tasks[a.Attempt]; k != nil {
				k.mail(func() { k.outcome(a) })
			}
		}
	}
}
