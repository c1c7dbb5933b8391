// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import "time"

// Host is a TaskManager that may run tasks of the job: its name, and which start of it is meant.
type Host struct{ TaskManager, Incarnation string }

// hosts is what the store says of where tasks may run. Invariant: a task is deployed only to a TaskManager that is on
// record by then. So the next JobMaster knows when it has heard of all tasks that it could go on with.
type hosts struct {
	// recorded is by TaskManager; nil where it is not known what the store has.
	recorded map[string]string
	// writing is what is being recorded, nil if nothing is.
	writing []Host
	busy    bool
	// looked is the state of the slots that was compared with the record last.
	looked int
}

func newHosts(former []Host, known bool) hosts {
	h := hosts{looked: -1}
	if known {
		h.recorded = byTaskManager(former)
	}
	return h
}

func byTaskManager(all []Host) map[string]string {
	m := make(map[string]string, len(all))
	for _, h := range all {
		m[h.TaskManager] = h.Incarnation
	}
	return m
}

// recordHosts has the store note where the job has slots, if that has changed.
func (m *Master) recordHosts() {
	h := &m.hosts
	if m.config.ReconcileTimeout == 0 || m.reconcile != nil || h.busy || h.looked == m.slots.changes {
		return
	}
	h.looked = m.slots.changes
	now := m.slots.hosts()
	same := h.recorded != nil && len(now) == len(h.recorded)
	for _, x := range now {
		same = same && h.recorded[x.TaskManager] == x.Incarnation
	}
	if !same {
		h.busy, h.writing = true, now
		m.do(RecordHosts{now})
	}
}

// HostsRecorded answers RecordHosts. After an error it is tried again with the next heartbeat.
func (m *Master) HostsRecorded(err error, now time.Time) {
	if m.status.Ended() {
		return
	}
	m.hosts.recorded = nil
	if err == nil {
		m.hosts.recorded, m.hosts.looked = byTaskManager(m.hosts.writing), -1 // slots may have changed meanwhile
	}
	m.hosts.busy, m.hosts.writing = false, nil
	m.advance(now)
}

// isHost reports whether tasks may be deployed to a TaskManager.
func (m *Master) isHost(tm *manager) bool {
	if m.config.ReconcileTimeout == 0 {
		return true // nobody looks for tasks
	}
	return !m.hosts.busy && m.hosts.recorded[tm.id] == tm.incarnation
}
