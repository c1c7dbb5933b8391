// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Config is what a SlotManager is made of.
type Config struct {
	// Incarnation makes the allocation ids of this start unique.
	Incarnation string
	// Heartbeat is the time between two wishes; who is silent for HeartbeatTimeout is forgotten.
	Heartbeat, HeartbeatTimeout time.Duration
}

// Send is the only action: a message to an endpoint.
type Send struct {
	To      string
	Message *weirpb.Envelope
}

// SlotManager is the core of the ResourceManager. Its methods are called by one goroutine.
type SlotManager struct {
	config      Config
	allocations int64
	// managers and jobs are by name; their orders are sorted.
	managers              map[string]*manager
	jobs                  map[string]*job
	managerOrder, jobList []string
	fence                 rpc.Fence
	next                  time.Time
	actions               []Send
}

type manager struct {
	endpoint, incarnation string
	slots                 []slot
	heard                 time.Time
}

type slot struct {
	allocation, job string
	// active slots were accepted by a JobMaster: only it gives them back.
	active bool
}

type job struct {
	master  string
	version int64
	epoch   int64
	slots   int
	held    []string
	heard   time.Time
}

// NewSlotManager makes one that knows nothing yet.
func NewSlotManager(c Config, now time.Time) *SlotManager {
	return &SlotManager{config: c, managers: map[string]*manager{}, jobs: map[string]*job{}, next: now}
}

// Take returns what is to be sent since the last call.
func (m *SlotManager) Take() []Send {
	a := m.actions
	m.actions = nil
	return a
}

// Next is the time of the next Tick.
func (m *SlotManager) Next() time.Time { return m.next }

// Receive takes a message.
func (m *SlotManager) Receive(e *weirpb.Envelope, now time.Time) {
	switch b := e.GetBody().(type) {
	case *weirpb.Envelope_TaskManagerReport:
		m.reported(b.TaskManagerReport, e.GetFrom(), now)
	case *weirpb.Envelope_DeclareNeeds:
		if m.fence.Admit(b.DeclareNeeds.GetJobId(), e.GetEpoch()) {
			m.declared(b.DeclareNeeds, e.GetEpoch(), now)
		}
	}
}

// reported takes the slots of a TaskManager. What was wished for and is not offered yet stays wished for.
func (m *SlotManager) reported(r *weirpb.TaskManagerReport, from string, now time.Time) {
	tm := m.managers[r.GetId()]
	fresh := tm == nil || tm.incarnation != r.GetIncarnation()
	if fresh {
		if tm == nil {
			m.managerOrder = insert(m.managerOrder, r.GetId())
		}
		tm = &manager{endpoint: from, incarnation: r.GetIncarnation(), slots: make([]slot, len(r.GetSlots()))}
		m.managers[r.GetId()] = tm
	}
	tm.heard = now
	freed := false
	for _, s := range r.GetSlots() {
		i := int(s.GetIndex())
		if i < 0 || i >= len(tm.slots) {
			continue
		}
		old := tm.slots[i]
		switch {
		case s.GetAllocationId() != "":
			tm.slots[i] = slot{s.GetAllocationId(), s.GetJobId(), s.GetJobEpoch() > 0}
		case old.active:
			tm.slots[i] = slot{}
			freed = true
		}
	}
	if fresh || freed {
		m.match()
	}
}

// declared takes the need of a job. A need of nothing ends it.
func (m *SlotManager) declared(d *weirpb.DeclareNeeds, epoch int64, now time.Time) {
	j := m.jobs[d.GetJobId()]
	if j == nil {
		if d.GetSlots() == 0 {
			return
		}
		j = &job{}
		m.jobs[d.GetJobId()] = j
		m.jobList = insert(m.jobList, d.GetJobId())
	}
	if epoch == j.epoch && d.GetVersion() < j.version {
		return
	}
	changed := j.slots != int(d.GetSlots()) || j.master != d.GetJobMaster()
	j.master, j.version, j.epoch, j.held, j.heard = d.GetJobMaster(), d.GetVersion(), epoch, d.GetHeld(), now
	j.slots = int(d.GetSlots())
	if changed {
		m.match()
	}
}

// Tick forgets who was silent, and says all wishes again.
func (m *SlotManager) Tick(now time.Time) {
	if now.Before(m.next) {
		return
	}
	m.next = now.Add(m.config.Heartbeat)
	for _, id := range slices.Clone(m.managerOrder) {
		if now.Sub(m.managers[id].heard) >= m.config.HeartbeatTimeout {
			delete(m.managers, id)
			m.managerOrder = remove(m.managerOrder, id)
		}
	}
	for _, id := range slices.Clone(m.jobList) {
		if now.Sub(m.jobs[id].heard) >= m.config.HeartbeatTimeout {
			delete(m.jobs, id)
			m.jobList = remove(m.jobList, id)
			m.fence.Forget(id)
		}
	}
	m.match()
}

// match gives free slots to the jobs that lack them and takes unaccepted ones from those that need none, then sends all
// wishes.
func (m *SlotManager) match() {
	counts := map[string]int{}
	m.eachSlot(func(_ *manager, _ int, s *slot) {
		if j := m.jobs[s.job]; s.allocation != "" && !s.active && (j == nil || j.slots == 0) {
			*s = slot{}
		}
		if s.allocation != "" {
			counts[s.job]++
		}
	})
	m.withdraw(counts)
	m.eachSlot(func(_ *manager, _ int, s *slot) {
		if s.allocation != "" {
			return
		}
		if id := m.neediest(counts); id != "" {
			m.allocations++
			*s = slot{allocation: fmt.Sprintf("%s-%d", m.config.Incarnation, m.allocations), job: id}
			counts[id]++
		}
	})
	m.sendWishes()
	for _, id := range m.jobList {
		j := m.jobs[id]
		m.actions = append(m.actions, Send{j.master, &weirpb.Envelope{
			JobId: id, Epoch: j.epoch,
			Body: &weirpb.Envelope_NeedsStatus{NeedsStatus: &weirpb.NeedsStatus{
				Version: j.version, Missing: int32(max(0, j.slots-counts[id])),
			}},
		}})
	}
}

// withdraw takes back offers that a job has no need for.
func (m *SlotManager) withdraw(counts map[string]int) {
	m.eachSlot(func(_ *manager, _ int, s *slot) {
		j := m.jobs[s.job]
		if s.allocation != "" && !s.active && j != nil && counts[s.job] > j.slots && !slices.Contains(j.held, s.allocation) {
			counts[s.job]--
			*s = slot{}
		}
	})
}

// neediest is the job that lacks the largest share of its need, the first by name of several; empty if none lacks any.
func (m *SlotManager) neediest(counts map[string]int) string {
	best := ""
	for _, id := range m.jobList {
		j := m.jobs[id]
		if counts[id] >= j.slots {
			continue
		}
		// a/b < c/d without division: what it has, as a share of what it needs.
		if best == "" || counts[id]*m.jobs[best].slots < counts[best]*j.slots {
			best = id
		}
	}
	return best
}

func (m *SlotManager) sendWishes() {
	for _, id := range m.managerOrder {
		tm := m.managers[id]
		w := &weirpb.AllocateSlots{Incarnation: tm.incarnation}
		for i, s := range tm.slots {
			if j := m.jobs[s.job]; s.allocation != "" && j != nil {
				w.Allocations = append(w.Allocations, &weirpb.Allocation{
					Slot: int32(i), AllocationId: s.allocation, JobId: s.job, JobMaster: j.master,
				})
			}
		}
		m.actions = append(m.actions, Send{tm.endpoint, &weirpb.Envelope{
			Body: &weirpb.Envelope_AllocateSlots{AllocateSlots: w},
		}})
	}
}

func (m *SlotManager) eachSlot(f func(tm *manager, index int, s *slot)) {
	for _, id := range m.managerOrder {
		tm := m.managers[id]
		for i := range tm.slots {
			f(tm, i, &tm.slots[i])
		}
	}
}

func insert(sorted []string, s string) []string {
	at, _ := slices.BinarySearch(sorted, s)
	return slices.Insert(sorted, at, s)
}

func remove(sorted []string, s string) []string {
	at, _ := slices.BinarySearch(sorted, s)
	return slices.Delete(sorted, at, at+1)
}
