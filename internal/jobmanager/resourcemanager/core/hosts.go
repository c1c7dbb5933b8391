// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"slices"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// tellGone tells a JobMaster which of the TaskManagers that it seeks it need not wait for: those that were started anew, and
// those that have no slot of the job any more.
func (m *SlotManager) tellGone(id string, j *job) {
	var gone []*weirpb.Host
	for _, h := range j.sought {
		tm := m.managers[h.GetTaskManager()]
		if tm != nil && (tm.incarnation != h.GetIncarnation() ||
			!slices.ContainsFunc(tm.slots, func(s slot) bool { return s.job == id })) {
			gone = append(gone, h)
		}
	}
	m.sendGone(id, j, gone)
}

func (m *SlotManager) sendGone(id string, j *job, gone []*weirpb.Host) {
	if len(gone) > 0 {
		m.actions = append(m.actions, Send{j.master, &weirpb.Envelope{
			JobId: id, Epoch: j.epoch, Body: &weirpb.Envelope_HostsGone{HostsGone: &weirpb.HostsGone{Hosts: gone}},
		}})
	}
}

// Sought are the TaskManagers that JobMasters seek and that are not registered: who starts TaskManagers may know that they
// have ended.
func (m *SlotManager) Sought() []string {
	var all []string
	for _, id := range m.jobList {
		for _, h := range m.jobs[id].sought {
			if name := h.GetTaskManager(); m.managers[name] == nil && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

// Ended takes that TaskManagers have ended for good.
func (m *SlotManager) Ended(names []string) {
	for _, id := range m.jobList {
		j := m.jobs[id]
		var gone []*weirpb.Host
		for _, h := range j.sought {
			if slices.Contains(names, h.GetTaskManager()) && m.managers[h.GetTaskManager()] == nil {
				gone = append(gone, h)
			}
		}
		m.sendGone(id, j, gone)
	}
}
