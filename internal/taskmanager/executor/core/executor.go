// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"slices"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Limits: the oldest entry goes first.
const (
	// goneMax is how many attempts that must not start again are remembered.
	goneMax = 4096
	// acknowledgementsMax is how many unanswered acknowledgements a task keeps, takenMax of how many checkpoints it is known
	// that it took part in, abortedMax how many aborted checkpoints are remembered.
	acknowledgementsMax = 16
	takenMax            = 64
	abortedMax          = 64
)

// Config is what an Executor is made of.
type Config struct {
	JobID                    string
	TaskManager, Incarnation string
	// Process differs for each start of an executor that is a process of its own, and DataAddress is where its exchange is
	// reached; both are empty where it is part of its TaskManager.
	Process, DataAddress string
	// Fingerprint is that of the graph that the executor describes.
	Fingerprint uint64
	Heartbeat   time.Duration
}

// Action is what the shell is to do, in order.
type Action interface{ action() }

// Send passes a message on to the JobMaster. A process that has not heard of it yet leaves To to its TaskManager, which
// has.
type Send struct {
	To      string
	Message *weirpb.Envelope
}

// Start makes the task of an attempt.
type Start struct {
	Task   *weirpb.TaskDescriptor
	Deploy *weirpb.DeployTasks
}

// Cancel ends the task of an attempt; its end is reported by Changed.
type Cancel struct{ Attempt int64 }

// Trigger starts a checkpoint at a task.
type Trigger struct {
	Attempt, Checkpoint int64
	Flags               element.BarrierFlags
	Number              int64
}

// Outcome tells a task what became of a checkpoint, or with Decided of all below it.
type Outcome struct {
	Attempt, Checkpoint int64
	Kind                OutcomeKind
}

// OutcomeKind is what became of a checkpoint.
type OutcomeKind uint8

// The outcomes.
const (
	Completed OutcomeKind = iota
	Committed
	Aborted
	// Decided tells that all ids below Checkpoint which did not complete never will.
	Decided
)

// Assign hands splits to a task, in the order of numbers.
type Assign struct {
	Attempt, Number int64
	Splits          []byte
	NoMore          bool
}

func (Send) action()    {}
func (Start) action()   {}
func (Cancel) action()  {}
func (Trigger) action() {}
func (Outcome) action() {}
func (Assign) action()  {}

// attempt is one that the JobMaster does not know to have ended.
type attempt struct {
	status *weirpb.TaskStatus
	// deployed is the sequence of the message that brought it: older heartbeats don't know it.
	deployed int64
	// unanswered are acknowledgements that no outcome has answered yet, oldest first.
	unanswered []*weirpb.AcknowledgeCheckpoint
	// reader is what a JobMaster that takes over has to know of a reader.
	reader readerLog
	// triggered is the newest checkpoint that was started at the task.
	triggered int64
	// entered is when the attempt entered its states so far.
	entered []*weirpb.StateTime
}

// Executor is the core. Its methods are called by one goroutine.
type Executor struct {
	config Config
	// jobMaster is who to report to, and epoch its epoch.
	jobMaster string
	epoch     int64
	// reconciling holds from the first message of a JobMaster that took over until it says that it knows what there is.
	reconciling bool
	attempts    map[int64]*attempt
	order       []int64 // of attempts, ascending
	gone        []int64
	// completed and committed are the newest that tasks were told of, aborted those that they were told of; all below decided
	// are.
	completed, committed int64
	aborted              []int64
	decided              int64
	heartbeat            int64 // sequence of the last one
	pace                 pace
	actions              []Action
}

// NewExecutor makes one without tasks.
func NewExecutor(c Config, now time.Time) *Executor {
	x := &Executor{config: c, attempts: map[int64]*attempt{}}
	x.pace = pace{heartbeat: c.Heartbeat, next: now.Add(c.Heartbeat), last: now}
	if c.Process != "" {
		x.pace.next = now // the JobMaster waits to hear where it is reached
	}
	return x
}

// Take returns what is to be done since the last call.
func (x *Executor) Take() []Action {
	a := x.actions
	x.actions = nil
	return a
}

func (x *Executor) do(a Action) { x.actions = append(x.actions, a) }

func (x *Executor) send(e *weirpb.Envelope) {
	if x.jobMaster == "" && x.config.Process == "" {
		return
	}
	e.JobId, e.Epoch = x.config.JobID, x.epoch
	if e.GetExecutorReport() == nil {
		x.pace.restless()
	}
	x.do(Send{x.jobMaster, e})
}

// Receive takes a message of the JobMaster; that of an older epoch must not come here. usable tells which allocations
// are slots of the job.
func (x *Executor) Receive(e *weirpb.Envelope, usable func(allocation string) bool) {
	if e.GetEpoch() < x.epoch {
		return
	}
	if e.GetEpoch() > x.epoch {
		x.followed(e.GetEpoch())
	}
	x.jobMaster = e.GetFrom()
	switch b := e.GetBody().(type) {
	case *weirpb.Envelope_DeployTasks:
		x.deploy(b.DeployTasks, e.GetSequence(), usable)
	case *weirpb.Envelope_CancelTasks:
		for _, id := range b.CancelTasks.GetAttempts() {
			x.cancel(id)
		}
	case *weirpb.Envelope_TriggerCheckpoint:
		for _, t := range b.TriggerCheckpoint.GetTasks() {
			x.trigger(t, b.TriggerCheckpoint)
		}
	case *weirpb.Envelope_CheckpointOutcome:
		x.outcome(b.CheckpointOutcome)
	case *weirpb.Envelope_AssignSplits:
		x.assign(b.AssignSplits)
	case *weirpb.Envelope_JobMasterHeartbeat:
		x.heartbeatOf(b.JobMasterHeartbeat, e.GetSequence())
	}
}

// followed takes that another JobMaster leads the job: it is told at once what there is.
func (x *Executor) followed(epoch int64) {
	x.reconciling = x.epoch > 0
	x.epoch, x.heartbeat = epoch, 0
	x.pace.restless()
	x.pace.next = x.pace.next.Add(-x.config.Heartbeat)
}

// trigger starts a checkpoint at a task, each once and in the order of their ids: a sink whose output of checkpoint n is
// committed drops what it prepared for those before n, so it must have prepared it before.
func (x *Executor) trigger(t *weirpb.TriggeredTask, c *weirpb.TriggerCheckpoint) {
	a := x.attempts[t.GetAttempt()]
	switch {
	case a == nil || ended(a) || c.GetCheckpoint() == a.triggered:
	case c.GetCheckpoint() < a.triggered:
		x.Declined(t.GetAttempt(), c.GetCheckpoint(), "a newer checkpoint was triggered before")
	default:
		a.triggered = c.GetCheckpoint()
		a.status.Drained = a.status.GetDrained() || element.BarrierFlags(c.GetFlags()).Has(element.Drain)
		a.reader.triggered(c.GetCheckpoint(), t.GetNumber())
		x.do(Trigger{t.GetAttempt(), c.GetCheckpoint(), element.BarrierFlags(c.GetFlags()), t.GetNumber()})
	}
}

// deploy starts the attempts that are not known yet.
func (x *Executor) deploy(d *weirpb.DeployTasks, sequence int64, usable func(string) bool) {
	if d.GetIncarnation() != x.config.Incarnation || d.GetProcess() != x.config.Process {
		return
	}
	for _, t := range d.GetTasks() {
		id := t.GetAttempt()
		if x.attempts[id] != nil || slices.Contains(x.gone, id) || id>>32 != x.epoch {
			continue
		}
		a := x.add(id, t, sequence)
		a.status.Assigned, a.status.Restored = t.GetReaderNumber(), d.GetRestored()
		a.reader.after = t.GetReaderNumber()
		if !usable(t.GetAllocationId()) {
			x.changed(a, weirpb.TaskState_TASK_STATE_FAILED, "the slot of the task is not the job's any more",
				weirpb.FailureKind_FAILURE_KIND_WORLD)
			continue
		}
		x.do(Start{t, d})
	}
}

func (x *Executor) add(id int64, t *weirpb.TaskDescriptor, sequence int64) *attempt {
	a := &attempt{deployed: sequence, status: &weirpb.TaskStatus{
		Attempt: id, Vertex: t.GetVertex(), Subtask: t.GetSubtask(), State: weirpb.TaskState_TASK_STATE_INITIALIZING,
		AllocationId: t.GetAllocationId(), Deployment: t.GetDeployment(), Number: t.GetNumber(),
	}, entered: t.GetEntered()}
	x.attempts[id] = a
	at, _ := slices.BinarySearch(x.order, id)
	x.order = slices.Insert(x.order, at, id)
	return a
}

// cancel ends an attempt; one that is not known yet must not start any more.
func (x *Executor) cancel(id int64) {
	if a := x.attempts[id]; a != nil {
		if !ended(a) && a.status.GetState() != weirpb.TaskState_TASK_STATE_CANCELING {
			a.status.State = weirpb.TaskState_TASK_STATE_CANCELING
			x.do(Cancel{id})
		}
		return
	}
	if slices.Contains(x.gone, id) {
		return
	}
	x.add(id, nil, 0).status.State = weirpb.TaskState_TASK_STATE_CANCELED
	x.sendState(x.attempts[id])
}

// assign passes an assignment on if it is the next, and asks for what is missing before it if not.
func (x *Executor) assign(s *weirpb.AssignSplits) {
	a := x.attempts[s.GetAttempt()]
	if a == nil || ended(a) || s.GetNumber() <= a.status.GetAssigned() {
		return
	}
	if s.GetNumber() > a.status.GetAssigned()+1 {
		x.MissingAssignments(s.GetAttempt(), a.status.GetAssigned()+1)
		return
	}
	a.status.Assigned = s.GetNumber()
	a.reader.assigned(s)
	x.do(Assign{s.GetAttempt(), s.GetNumber(), s.GetSplits(), s.GetNoMoreSplits()})
}

// heartbeatOf takes what the JobMaster wants and knows.
func (x *Executor) heartbeatOf(h *weirpb.JobMasterHeartbeat, sequence int64) {
	if h.GetIncarnation() != x.config.Incarnation || sequence <= x.heartbeat {
		return
	}
	x.heartbeat = sequence
	x.reconciling = x.reconciling && h.GetReconciling()
	for _, id := range slices.Clone(x.order) {
		a := x.attempts[id]
		wanted := h.GetReconciling() || slices.Contains(h.GetAttempts(), id)
		switch {
		case wanted: // a finished one, too: the next JobMaster has to know what it read
		case ended(a) && slices.Contains(h.GetEnded(), id):
			x.forget(id)
		case a.deployed < sequence || id>>32 < x.epoch:
			x.cancel(id)
		}
	}
	x.outcome(h.GetOutcome())
	x.pace.beat(h.GetSteady())
}

func (x *Executor) forget(id int64) {
	delete(x.attempts, id)
	at, _ := slices.BinarySearch(x.order, id)
	x.order = slices.Delete(x.order, at, at+1)
	x.gone = push(x.gone, id, goneMax)
}

// outcome tells the tasks what is new about checkpoints, and drops the acknowledgements that are answered by it.
func (x *Executor) outcome(o *weirpb.CheckpointOutcome) {
	if o.GetCompleted() > x.completed {
		x.completed = o.GetCompleted()
		x.tell(x.completed, Completed)
		x.covered()
	}
	if o.GetCommitted() > x.committed {
		x.committed = o.GetCommitted()
		x.tell(x.committed, Committed)
	}
	for _, id := range o.GetAborted() {
		if !slices.Contains(x.aborted, id) {
			x.aborted = push(x.aborted, id, abortedMax)
			x.tell(id, Aborted)
		}
	}
	if o.GetDecidedBelow() > x.decided { // behind Completed: what completed is known by now
		x.decided = o.GetDecidedBelow()
		x.tell(x.decided, Decided)
	}
	for _, a := range x.attempts {
		a.unanswered = slices.DeleteFunc(a.unanswered, func(k *weirpb.AcknowledgeCheckpoint) bool {
			return x.answered(k.GetCheckpoint())
		})
	}
}

// answered reports whether it is known what became of a checkpoint.
func (x *Executor) answered(checkpoint int64) bool {
	return checkpoint <= x.completed || checkpoint < x.decided || slices.Contains(x.aborted, checkpoint)
}

// covered drops what the newest completed checkpoint makes needless: a JobMaster that takes over starts from it, or from a
// newer one.
func (x *Executor) covered() {
	for _, a := range x.attempts {
		a.status.Acknowledged = slices.DeleteFunc(a.status.GetAcknowledged(), func(id int64) bool { return id < x.completed })
		a.reader.completed(x.completed, ended(a))
	}
}

func (x *Executor) tell(checkpoint int64, kind OutcomeKind) {
	for _, id := range x.order {
		if !ended(x.attempts[id]) {
			x.do(Outcome{id, checkpoint, kind})
		}
	}
}

func ended(a *attempt) bool {
	switch a.status.GetState() {
	case weirpb.TaskState_TASK_STATE_FINISHED, weirpb.TaskState_TASK_STATE_CANCELED, weirpb.TaskState_TASK_STATE_FAILED:
		return true
	default:
		return false
	}
}

func push(list []int64, v int64, limit int) []int64 {
	if len(list) >= limit {
		list = slices.Delete(list, 0, len(list)-limit+1)
	}
	return append(list, v)
}
