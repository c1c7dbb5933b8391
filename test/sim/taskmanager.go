// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
	"time"

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
	// generation tells timers of a crashed incarnation from those of the current one.
	generation int
}

func (s *simulation) startTaskManager(t *taskManager) {
	t.starts++
	t.generation++
	t.alive, t.tasks, t.executor = true, map[int64]*task{}, nil
	t.slots = tmcore.NewSlots(tmcore.Config{
		ID: t.id, Incarnation: fmt.Sprintf("%s.%d", t.id, t.starts), DataAddress: t.id, ResourceManager: rmName,
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
}

// tick calls the cores when they are due, and comes back.
func (t *taskManager) tick() {
	g := t.generation
	if t.executor != nil {
		for _, id := range t.executor.Live() {
			if k := t.tasks[id]; k != nil {
				t.executor.Observe(id, k.ready, nil, nil)
			}
		}
		t.executor.Tick(t.s.w.now, t.slots.Of(t.s.jobID))
	}
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
	case e.GetDeployTasks() != nil, e.GetCancelTasks() != nil:
		t.makeExecutor()
	}
	if t.executor != nil {
		t.executor.Receive(e, func(allocation string) bool { return t.slots.Use(e, allocation, now) })
	} else {
		t.slots.Refuse(e)
	}
	t.perform()
}

func (t *taskManager) makeExecutor() {
	if t.executor != nil || !slices.ContainsFunc(t.slots.Slots(), func(x tmcore.Slot) bool { return x.Job == t.s.jobID }) {
		return
	}
	t.executor = executorcore.NewExecutor(executorcore.Config{
		JobID: t.s.jobID, TaskManager: t.id, Incarnation: fmt.Sprintf("%s.%d", t.id, t.starts), Heartbeat: heartbeat,
	}, t.s.w.now)
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
			t.send(a.To, a.Message)
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
