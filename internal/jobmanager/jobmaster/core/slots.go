// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"slices"
	"time"
)

// slotPool holds the slots of a job. Seat k is for subtask k of every vertex: they share its slot, so a forward edge
// stays within a slot, and no slot has two subtasks of a vertex.
type slotPool struct {
	// seats are allocation ids, empty while the seat has no slot.
	seats []string
	// free is at or before the first seat without a slot.
	free int
	// held is by allocation id. Invariant: the held slots are exactly those of the seats.
	held map[string]*heldSlot
	// changes counts what changes where the job has slots.
	changes int
	// managers are the TaskManagers that were heard of lately, by id; order lists them by name.
	managers map[string]*manager
	order    []string
}

type heldSlot struct {
	allocation, taskManager string
	seat                    int
	// offered is the sequence of the offer: a later report of the TaskManager has the slot, or it is lost.
	offered int64
}

// manager is a TaskManager as its job sees it.
type manager struct {
	id, incarnation string
	// offered is the address of its exchange as the offer told it; reached that as its executor did, which counts more:
	// an executor that is started anew has another.
	// process names that executor, where it is a process of its own.
	offered, reached, process string
	// trouble is why there is no executor; empty when one has told its address.
	trouble string
	heard   time.Time
	// stream is the sender of the last report, and reported the sequence number of that: older ones are of the past.
	stream   stream
	reported int64
	// ended are attempts whose end its last report told: the next heartbeat acknowledges them.
	ended []int64
}

// stream names a sender of reports: sequence numbers count for each. An executor that is a process has its own.
type stream struct{ from, process string }

func newSlotPool(seats int) slotPool {
	return slotPool{seats: make([]string, seats), held: map[string]*heldSlot{}, managers: map[string]*manager{}}
}

// offer takes a slot that is offered, if a seat is free or it is held already.
func (p *slotPool) offer(allocation, taskManager string, sequence int64) bool {
	if h := p.held[allocation]; h != nil {
		return h.taskManager == taskManager
	}
	if len(p.held) == len(p.seats) {
		return false
	}
	for p.seats[p.free] != "" { // at or behind it is a free one
		p.free++
	}
	p.seat(p.free, allocation, taskManager, sequence)
	return true
}

// leave takes the slot from a seat.
func (p *slotPool) leave(seat int) {
	p.changes++
	delete(p.held, p.seats[seat])
	p.seats[seat] = ""
	p.free = min(p.free, seat)
}

// seat gives a slot a seat that is free.
func (p *slotPool) seat(seat int, allocation, taskManager string, offered int64) {
	p.changes++
	p.seats[seat] = allocation
	p.held[allocation] = &heldSlot{allocation, taskManager, seat, offered}
}

// missing is the number of seats without a slot.
func (p *slotPool) missing() int { return len(p.seats) - len(p.held) }

// at returns the slot of a seat, or nil.
func (p *slotPool) at(seat int) *heldSlot { return p.held[p.seats[seat]] }

// heard finds the TaskManager and notes that it lives. fresh tells that this is the first of the incarnation.
func (p *slotPool) heard(id, incarnation, address string, now time.Time) (m *manager, fresh bool) {
	m = p.managers[id]
	if m == nil || m.incarnation != incarnation {
		m, fresh = &manager{id: id, incarnation: incarnation}, true
		if p.managers[id] == nil {
			at, _ := slices.BinarySearch(p.order, id)
			p.order = slices.Insert(p.order, at, id)
		}
		p.managers[id] = m
		p.changes++
	}
	m.heard = now
	if address != "" {
		m.offered = address
	}
	return m, fresh
}

// excuse gives all TaskManagers time to be heard again.
func (p *slotPool) excuse(now time.Time) {
	for _, m := range p.managers {
		m.heard = now
	}
}

// address is where the exchange of a TaskManager's executor is reached; empty while that is not known.
func (p *slotPool) address(id string) string {
	m := p.managers[id]
	switch {
	case m == nil:
		return ""
	case m.reached != "":
		return m.reached
	}
	return m.offered
}

// hosts lists the TaskManagers on which the job has slots, by name.
func (p *slotPool) hosts() []Host {
	has := make(map[string]bool, len(p.order))
	for _, h := range p.held {
		has[h.taskManager] = true
	}
	var all []Host
	for _, id := range p.order {
		if has[id] {
			all = append(all, Host{id, p.managers[id].incarnation})
		}
	}
	return all
}

// drop forgets a TaskManager with all its slots.
func (p *slotPool) drop(id string) {
	for k, allocation := range p.seats {
		if h := p.held[allocation]; h != nil && h.taskManager == id {
			p.leave(k)
		}
	}
	if p.managers[id] != nil {
		delete(p.managers, id)
		at, _ := slices.BinarySearch(p.order, id)
		p.order = slices.Delete(p.order, at, at+1)
	}
}

// gone takes away the slots that a TaskManager does not have any more, as its report says.
func (p *slotPool) gone(taskManager string, has []string, sequence int64) []string {
	var ids []string
	for _, id := range p.of(taskManager) {
		if h := p.held[id]; h.offered < sequence && !slices.Contains(has, id) {
			ids = append(ids, id)
			p.leave(h.seat)
		}
	}
	return ids
}

// of lists the allocations held on a TaskManager, in the order of seats.
func (p *slotPool) of(taskManager string) []string {
	var ids []string
	for _, id := range p.seats {
		if h := p.held[id]; h != nil && h.taskManager == taskManager {
			ids = append(ids, id)
		}
	}
	return ids
}
