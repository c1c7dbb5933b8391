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
	// Incarnation and Epoch, the leader epoch of the JobManager, make the allocation ids of this start unique. Messages
	// carry the epoch: a TaskManager takes the wishes of a later leader as newer.
	Incarnation string
	Epoch       int64
	// WorkersMax is how many TaskManagers there may be with those that are asked for; zero asks for none. A TaskManager
	// without a slot in use for WorkerTimeout is given back; zero gives none back.
	WorkersMax    int
	WorkerTimeout time.Duration
	// WorkerSlots is how many slots a TaskManager has that is asked for; it counts where WorkersMax is set.
	WorkerSlots int
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
	// draining ones get no further allocation.
	draining bool
	// used is when a slot was last seen in use, or the TaskManager first heard of.
	used time.Time
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
	// since is when the job came to need slots.
	since  time.Time
	held   []string
	sought []*weirpb.Host
	heard  time.Time
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
	case *weirpb.Envelope_PeerLost:
		m.peerLost(b.PeerLost.GetNames())
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
		tm = &manager{endpoint: from, incarnation: r.GetIncarnation(), slots: make([]slot, len(r.GetSlots())), used: now}
		m.managers[r.GetId()] = tm
	}
	tm.heard = now
	freed := r.GetDraining() != tm.draining
	tm.draining = r.GetDraining()
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
	if j.slots == 0 {
		j.since = now
	}
	changed := j.slots != int(d.GetSlots()) || j.master != d.GetJobMaster() || !slices.Equal(j.held, d.GetHeld())
	j.master, j.version, j.epoch, j.held, j.heard = d.GetJobMaster(), d.GetVersion(), epoch, d.GetHeld(), now
	j.slots, j.sought = int(d.GetSlots()), d.GetSought()
	m.tellGone(d.GetJobId(), j)
	if changed {
		m.match()
	}
}

// Tick forgets who was silent, and says all wishes again.
func (m *SlotManager) Tick(now time.Time) {
	if now.Before(m.next) {
		return
	}
	if now.Sub(m.next) >= m.config.HeartbeatTimeout/2 {
		m.excuse(now) // it was stopped itself: what has come in meanwhile is still to be read
	}
	m.next = now.Add(m.config.Heartbeat)
	m.noteUse(now)
	for _, id := range slices.Clone(m.managerOrder) {
		if now.Sub(m.managers[id].heard) >= m.config.HeartbeatTimeout {
			m.forget(id)
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

// peerLost forgets the TaskManagers whose connection is gone; those that come back report what they have.
func (m *SlotManager) peerLost(names []string) {
	lost := false
	for _, id := range slices.Clone(m.managerOrder) {
		if slices.Contains(names, m.managers[id].endpoint) {
			m.forget(id)
			lost = true
		}
	}
	if lost {
		m.match()
	}
}

// excuse gives all whom it knows time to be heard again.
func (m *SlotManager) excuse(now time.Time) {
	for _, tm := range m.managers {
		tm.heard = now
	}
	for _, j := range m.jobs {
		j.heard = now
	}
}

func (m *SlotManager) forget(id string) {
	delete(m.managers, id)
	m.managerOrder = remove(m.managerOrder, id)
}

// match gives free slots to the jobs that lack them and takes unaccepted ones from those that need none, then sends all
// wishes.
func (m *SlotManager) match() {
	counts := m.counts()
	m.withdraw(counts)
	free := 0
	m.eachFree(func(*slot) { free++ })
	given := map[string]int{}
	var order []string
	for free > 0 {
		id := m.neediest(counts, free)
		if id == "" {
			break
		}
		n := min(free, m.jobs[id].slots-counts[id])
		order, given[id] = append(order, id), n
		counts[id] += n
		free -= n
	}
	m.eachFree(func(s *slot) {
		if len(order) == 0 {
			return
		}
		id := order[0]
		m.allocations++
		*s = slot{allocation: m.allocation(), job: id}
		if given[id]--; given[id] == 0 {
			order = order[1:]
		}
	})
	m.sendWishes()
}

// eachFree calls f for the slots that can be allocated.
func (m *SlotManager) eachFree(f func(s *slot)) {
	m.eachSlot(func(tm *manager, _ int, s *slot) {
		if s.allocation == "" && !tm.draining {
			f(s)
		}
	})
}

// counts says how many slots each job has, after the offers that nobody has accepted were taken from jobs that need none
// and from TaskManagers that drain. Slots that a job says it holds count though their TaskManager has not reported yet: a
// ResourceManager that has just been started does not give a second one for each.
func (m *SlotManager) counts() map[string]int {
	counts, seen := map[string]int{}, map[string]bool{}
	m.eachSlot(func(tm *manager, _ int, s *slot) {
		j := m.jobs[s.job]
		if s.allocation != "" && !s.active && (j == nil || j.slots == 0 || tm.draining && !slices.Contains(j.held, s.allocation)) {
			*s = slot{}
		}
		if s.allocation != "" {
			counts[s.job]++
			seen[s.allocation] = true
		}
	})
	for _, id := range m.jobList {
		for _, held := range m.jobs[id].held {
			if !seen[held] {
				counts[id]++
			}
		}
	}
	return counts
}

// allocation makes an id that no other start of a ResourceManager uses.
func (m *SlotManager) allocation() string {
	if m.config.Epoch == 0 {
		return fmt.Sprintf("%s-%d", m.config.Incarnation, m.allocations)
	}
	return fmt.Sprintf("%s-%d-%d", m.config.Incarnation, m.config.Epoch, m.allocations)
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

// neediest is the job that is to get free slots, of those that lack some; empty if none does. Where there are enough for all
// that a job lacks it is the one that lacks the largest share of its need; else the one that has waited longest, which
// gathers them: jobs that each hold a part would wait for each other. Of equals it is the one that has waited longest, or
// the first by name.
func (m *SlotManager) neediest(counts map[string]int, free int) string {
	best, oldest := "", ""
	for _, id := range m.jobList {
		j := m.jobs[id]
		lacks := j.slots - counts[id]
		if lacks <= 0 {
			continue
		}
		if oldest == "" || j.since.Before(m.jobs[oldest].since) {
			oldest = id
		}
		if lacks > free {
			continue
		}
		if best == "" {
			best = id
			continue
		}
		// a/b < c/d without division: what it has, as a share of what it needs.
		b := m.jobs[best]
		has, most := counts[id]*b.slots, counts[best]*j.slots
		if has < most || has == most && j.since.Before(b.since) {
			best = id
		}
	}
	if best != "" {
		return best
	}
	return oldest
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
			Epoch: m.config.Epoch, Body: &weirpb.Envelope_AllocateSlots{AllocateSlots: w},
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
