// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Config is what a Slots is made of; all is required but where a zero value is explained.
type Config struct {
	// DataAddress is empty where executors are processes of their own, which tell theirs.
	ID, Incarnation, DataAddress string
	ResourceManager              string
	Slots                        int
	MemoryBytes                  int64
	Heartbeat                    time.Duration
	// OfferTimeout ends an offer that nobody answers, JobMasterTimeout a slot whose JobMaster is silent.
	OfferTimeout, JobMasterTimeout time.Duration
}

// Action is what the shell is to do, in order.
type Action interface{ action() }

// Send passes a message on; job and epoch are set where they are known.
type Send struct {
	To      string
	Message *weirpb.Envelope
}

// EndJob tells that a job has no slot here any more: its executor is to end.
type EndJob struct{ Job string }

func (Send) action()   {}
func (EndJob) action() {}

// State is that of a slot.
type State uint8

// The states of a slot.
const (
	Free State = iota
	Offered
	Active
)

// Slot is one slot. All but State is empty while it is free.
type Slot struct {
	State                      State
	Allocation, Job, JobMaster string
	// Epoch is that of the JobMaster that accepted the slot, and accepted the sequence of its message.
	Epoch    int64
	accepted int64
	// since is when the slot was offered or its JobMaster was last heard of, told when a report of its executor last told
	// that JobMaster of it.
	since, told time.Time
}

// Slots is the table. Its methods are called by one goroutine.
type Slots struct {
	config Config
	slots  []Slot
	fence  rpc.Fence
	// wish is the newest of the ResourceManager.
	wish struct{ epoch, sequence int64 }
	// draining tells that no slot is to be given to a job any more.
	draining bool
	next     time.Time
	actions  []Action
}

// NewSlots makes a table of free slots; the first report is due at once.
func NewSlots(c Config, now time.Time) *Slots {
	return &Slots{config: c, slots: make([]Slot, c.Slots), next: now}
}

// Take returns what is to be done since the last call.
func (s *Slots) Take() []Action {
	a := s.actions
	s.actions = nil
	return a
}

// Drain ends the giving of slots: what is offered to a job and was never accepted is free, and the rest goes on.
func (s *Slots) Drain() {
	s.draining = true
	for i := range s.slots {
		if slot := &s.slots[i]; slot.State == Offered && slot.Epoch == 0 {
			job := slot.Job
			s.free(slot)
			s.endJobs(job)
		}
	}
	s.report()
}

// InUse reports whether a slot is offered or active.
func (s *Slots) InUse() bool {
	return slices.ContainsFunc(s.slots, func(x Slot) bool { return x.State != Free })
}

// Slots returns a copy of the table.
func (s *Slots) Slots() []Slot { return slices.Clone(s.slots) }

// Of lists the allocations that are offered to a job or held by it.
func (s *Slots) Of(job string) []string {
	var ids []string
	for i := range s.slots {
		if s.slots[i].State != Free && s.slots[i].Job == job {
			ids = append(ids, s.slots[i].Allocation)
		}
	}
	return ids
}

// Admit reports whether the epoch of a message from a JobMaster is the highest seen of its job, and remembers it.
func (s *Slots) Admit(e *weirpb.Envelope) bool { return s.fence.Admit(e.GetJobId(), e.GetEpoch()) }

// Allocate takes the whole wish of the ResourceManager, unless it is older than one before. Active slots it can't take
// back.
func (s *Slots) Allocate(e *weirpb.Envelope, now time.Time) {
	w := e.GetAllocateSlots()
	older := e.GetEpoch() < s.wish.epoch || e.GetEpoch() == s.wish.epoch && e.GetSequence() <= s.wish.sequence
	if w.GetIncarnation() != s.config.Incarnation || older {
		return
	}
	s.wish.epoch, s.wish.sequence = e.GetEpoch(), e.GetSequence()
	wishes := make([]*weirpb.Allocation, len(s.slots))
	for _, a := range w.GetAllocations() {
		if i := int(a.GetSlot()); i >= 0 && i < len(wishes) {
			wishes[i] = a
		}
	}
	fresh := false
	var withdrawn []string
	for i := range s.slots {
		slot, wish := &s.slots[i], wishes[i]
		// Tasks run in a slot that was accepted once and is offered to the next JobMaster: a ResourceManager that has just
		// been started may not know of it yet, and only a JobMaster gives it back.
		if slot.State == Offered && slot.Epoch == 0 && (wish == nil || wish.GetAllocationId() != slot.Allocation) {
			withdrawn = append(withdrawn, slot.Job)
			s.free(slot)
		}
		if wish == nil {
			continue
		}
		same := slot.Allocation == wish.GetAllocationId()
		switch {
		case slot.State == Free && !s.draining:
			*slot = Slot{
				State: Offered, Allocation: wish.GetAllocationId(), Job: wish.GetJobId(), JobMaster: wish.GetJobMaster(),
				since: now,
			}
			fresh = true
		case same && slot.JobMaster != wish.GetJobMaster():
			slot.State, slot.JobMaster, slot.since = Offered, wish.GetJobMaster(), now
			fresh = true
		}
	}
	if fresh {
		s.offer(now)
	}
	for _, job := range withdrawn { // an executor may have been made for the offer
		s.endJobs(job)
	}
}

// Answer takes what a JobMaster says about offered slots.
func (s *Slots) Answer(e *weirpb.Envelope, now time.Time) {
	a := e.GetAnswerSlots()
	if a.GetIncarnation() != s.config.Incarnation {
		return
	}
	for i := range s.slots {
		slot := &s.slots[i]
		if slot.State == Free || slot.Job != e.GetJobId() || e.GetEpoch() < slot.Epoch {
			continue
		}
		switch {
		case slices.Contains(a.GetAccepted(), slot.Allocation):
			s.accept(slot, e, now)
		case slices.Contains(a.GetReturned(), slot.Allocation) && (slot.State == Offered || s.newer(slot, e)):
			s.free(slot)
		}
	}
	s.endJobs(e.GetJobId())
}

// Heartbeat takes what a JobMaster holds: the rest of its slots is free, unless it reconciles still.
func (s *Slots) Heartbeat(e *weirpb.Envelope, now time.Time) {
	h := e.GetJobMasterHeartbeat()
	if h.GetIncarnation() != s.config.Incarnation {
		return
	}
	for i := range s.slots {
		slot := &s.slots[i]
		if slot.State == Free || slot.Job != e.GetJobId() {
			continue
		}
		switch {
		case slices.Contains(h.GetAllocations(), slot.Allocation):
			s.accept(slot, e, now)
		case h.GetReconciling():
			slot.since = now // it lives, and is about to find out which slots are its own
		case slot.State == Active && s.newer(slot, e):
			s.free(slot)
		}
	}
	s.endJobs(e.GetJobId())
}

// Refuse answers a JobMaster that starts or cancels tasks while it has no executor here: they don't run.
func (s *Slots) Refuse(e *weirpb.Envelope) {
	refuse := func(status *weirpb.TaskStatus) {
		s.actions = append(s.actions, Send{e.GetFrom(), &weirpb.Envelope{
			JobId: e.GetJobId(), Epoch: e.GetEpoch(),
			Body: &weirpb.Envelope_TaskStateChanged{TaskStateChanged: &weirpb.TaskStateChanged{Status: status}},
		}})
	}
	for _, id := range e.GetCancelTasks().GetAttempts() {
		refuse(&weirpb.TaskStatus{Attempt: id, State: weirpb.TaskState_TASK_STATE_CANCELED})
	}
	if d := e.GetDeployTasks(); d.GetIncarnation() == s.config.Incarnation {
		for _, t := range d.GetTasks() {
			refuse(&weirpb.TaskStatus{
				Attempt: t.GetAttempt(), State: weirpb.TaskState_TASK_STATE_FAILED,
				Error: "the TaskManager has no slot for the job", Kind: weirpb.FailureKind_FAILURE_KIND_WORLD,
			})
		}
	}
}

// Use reports whether the slot of an allocation is the job's; tasks for an offered slot accept it.
func (s *Slots) Use(e *weirpb.Envelope, allocation string, now time.Time) bool {
	for i := range s.slots {
		slot := &s.slots[i]
		if slot.State != Free && slot.Job == e.GetJobId() && slot.Allocation == allocation {
			s.accept(slot, e, now)
			return true
		}
	}
	return false
}

func (s *Slots) accept(slot *Slot, e *weirpb.Envelope, now time.Time) {
	if slot.State == Offered || e.GetEpoch() > slot.Epoch {
		slot.accepted = e.GetSequence()
	}
	slot.State, slot.Epoch, slot.since, slot.JobMaster = Active, e.GetEpoch(), now, e.GetFrom()
}

// newer reports whether a message was sent after the one that accepted the slot.
func (s *Slots) newer(slot *Slot, e *weirpb.Envelope) bool {
	return e.GetEpoch() > slot.Epoch || e.GetSequence() > slot.accepted
}

func (s *Slots) free(slot *Slot) { *slot = Slot{} }

// endJobs tells the end of a job that has no slot any more.
func (s *Slots) endJobs(job string) {
	if !slices.ContainsFunc(s.slots, func(x Slot) bool { return x.Job == job }) {
		s.actions = append(s.actions, EndJob{job})
	}
}

// Tick reports to the ResourceManager, repeats offers and ends what nobody asked for in time.
func (s *Slots) Tick(now time.Time) {
	if now.Before(s.next) {
		return
	}
	s.next = now.Add(s.config.Heartbeat)
	for i := range s.slots {
		slot := &s.slots[i]
		timeout := s.config.OfferTimeout
		if slot.State == Active || slot.Epoch > 0 {
			timeout = s.config.JobMasterTimeout
		}
		if slot.State != Free && now.Sub(slot.since) >= timeout {
			job := slot.Job
			s.free(slot)
			s.endJobs(job)
		}
	}
	s.report()
	s.offer(now)
}

// Reported takes that a report of the job's executor, which lists its slots, is on its way to a JobMaster.
func (s *Slots) Reported(job, jobMaster string, now time.Time) {
	for i := range s.slots {
		if slot := &s.slots[i]; slot.State == Active && slot.Job == job && slot.JobMaster == jobMaster {
			slot.told = now
		}
	}
}

// Connected reports and offers at once: the ResourceManager that is reached again, or for the first time, may know nothing
// of this TaskManager, nor what was on its way.
func (s *Slots) Connected(now time.Time) {
	for i := range s.slots {
		s.slots[i].told = time.Time{}
	}
	s.next = now
	s.Tick(now)
}

// Next is the time of the next Tick.
func (s *Slots) Next() time.Time { return s.next }

func (s *Slots) report() {
	r := &weirpb.TaskManagerReport{
		Id: s.config.ID, Incarnation: s.config.Incarnation, DataAddress: s.config.DataAddress,
		MemoryBytes: s.config.MemoryBytes, Draining: s.draining,
	}
	for i, slot := range s.slots {
		r.Slots = append(r.Slots, &weirpb.Slot{
			Index: int32(i), AllocationId: slot.Allocation, JobId: slot.Job, JobEpoch: slot.Epoch,
		})
	}
	s.actions = append(s.actions, Send{s.config.ResourceManager, &weirpb.Envelope{
		Body: &weirpb.Envelope_TaskManagerReport{TaskManagerReport: r},
	}})
}

// offer offers all slots that are to be, in one message a JobMaster. Where executors are processes the JobMasters of
// active slots hear with it what they hold, unless a report of the executor has told so lately (idle ones come with
// every second heartbeat): one that hangs can't speak for the TaskManager.
func (s *Slots) offer(now time.Time) {
	tells := func(x Slot) bool {
		return x.State == Offered || x.State == Active && s.config.DataAddress == "" && now.Sub(x.told) >= 5*s.config.Heartbeat/2
	}
	for i, first := range s.slots {
		if !tells(first) || slices.ContainsFunc(s.slots[:i], func(x Slot) bool {
			return tells(x) && x.JobMaster == first.JobMaster
		}) {
			continue
		}
		o := &weirpb.OfferSlots{
			TaskManager: s.config.ID, Incarnation: s.config.Incarnation, DataAddress: s.config.DataAddress,
		}
		for k, x := range s.slots {
			switch {
			case x.State == Offered && x.JobMaster == first.JobMaster:
				o.Allocations = append(o.Allocations, &weirpb.Allocation{
					Slot: int32(k), AllocationId: x.Allocation, JobId: x.Job, JobMaster: x.JobMaster,
				})
			case x.State == Active && x.Job == first.Job:
				o.Held = append(o.Held, x.Allocation)
			}
		}
		s.actions = append(s.actions, Send{first.JobMaster, &weirpb.Envelope{
			JobId: first.Job, Epoch: s.fence.Epoch(first.Job),
			Body: &weirpb.Envelope_OfferSlots{OfferSlots: o},
		}})
	}
}
