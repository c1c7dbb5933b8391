// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"slices"
	"time"
)

// Workers is what the SlotManager would have of a cluster provider.
type Workers struct {
	// Wanted is how many TaskManagers there should be beside those that are known, for all jobs to have their slots: the
	// missing slots by those of a TaskManager, rounded up, within the limit. Whoever asks takes off those that were
	// started and have not reported yet.
	Wanted int
	// Idle are, by name, those that no job has used for long: they may be stopped. A provider stops those that it started.
	Idle []string
}

// Workers says what to ask the provider for. It changes nothing, and may be asked at any time.
func (m *SlotManager) Workers(now time.Time) Workers {
	var w Workers
	if missing := m.missing(); m.config.WorkersMax > 0 && m.config.WorkerSlots > 0 && missing > 0 {
		wanted := (missing + m.config.WorkerSlots - 1) / m.config.WorkerSlots
		w.Wanted = max(0, min(wanted, m.config.WorkersMax-len(m.managers)))
	}
	for _, id := range m.managerOrder {
		tm := m.managers[id]
		if m.config.WorkerTimeout > 0 && !tm.inUse() && now.Sub(tm.used) >= m.config.WorkerTimeout {
			w.Idle = append(w.Idle, id)
		}
	}
	return w
}

// missing is how many slots all jobs lack.
func (m *SlotManager) missing() int {
	had := map[string]int{}
	m.eachSlot(func(_ *manager, _ int, s *slot) {
		if s.allocation != "" {
			had[s.job]++
		}
	})
	n := 0
	for _, id := range m.jobList {
		n += max(0, m.jobs[id].slots-had[id])
	}
	return n
}

func (tm *manager) inUse() bool {
	return slices.ContainsFunc(tm.slots, func(s slot) bool { return s.allocation != "" })
}

// noteUse keeps the time at which each TaskManager was last in use.
func (m *SlotManager) noteUse(now time.Time) {
	for _, id := range m.managerOrder {
		if tm := m.managers[id]; tm.inUse() {
			tm.used = now
		}
	}
}

// Knows tells whether a TaskManager is registered.
func (m *SlotManager) Knows(id string) bool { return m.managers[id] != nil }
