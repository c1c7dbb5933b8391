// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// What follows carries figures over from one JobMaster to the next, for people: nothing is decided by them. The metadata of
// checkpoints have how often the job restarted and how often its vertices were tried; reports of executors have the number
// of an attempt and when it entered its states.

// history adds to the metadata of a checkpoint what the coordinator does not know.
func (m *Master) history(h *checkpoint.History) {
	h.Restarts = m.restarts.granted
	for _, of := range m.graph.current {
		highest := 0
		for _, e := range of {
			highest = max(highest, e.number)
		}
		h.Attempts = append(h.Attempts, int64(highest))
	}
}

// inherit goes on counting where the newest checkpoint of earlier JobMasters has come to; past is nil where there is none.
func (m *Master) inherit(past *checkpoint.Metadata) {
	if past == nil || past.History == nil {
		return
	}
	m.restarts.granted = past.History.Restarts
	if past.Fingerprint != m.config.Graph.Fingerprint || len(past.History.Attempts) != len(m.graph.current) {
		return // its vertices are others
	}
	m.graph.all(func(e *execution) { e.number = int(past.History.Attempts[e.vertex]) + 1 })
}

// countOn takes that the attempts of a region which is not adopted come after those that were found: there was a restart for
// each number.
func (m *Master) countOn(r *region, found [][]*candidate) {
	for _, s := range r.members {
		if c := found[s.vertex][s.index]; c != nil {
			e := m.graph.of(s)
			e.number = max(e.number, int(c.status.GetNumber())+1)
			m.restarts.granted = max(m.restarts.granted, int64(c.status.GetNumber()))
		}
	}
}

// timesOf is when an attempt entered its states so far. The states of messages are those of executions, from one on.
func timesOf(e *execution) []*weirpb.StateTime {
	var times []*weirpb.StateTime
	for state, at := range e.entered {
		if !at.IsZero() {
			times = append(times, &weirpb.StateTime{State: weirpb.TaskState(state + 1), UnixMillis: at.UnixMilli()})
		}
	}
	return times
}

// recall takes the number of an attempt that is adopted, and when it entered its states. Those that passed on another machine
// may be off by the difference of clocks: none is shown before the one that it followed.
func (e *execution) recall(s *weirpb.TaskStatus, now time.Time) {
	e.number = int(s.GetNumber())
	for _, at := range s.GetEntered() {
		if state := at.GetState(); state >= weirpb.TaskState_TASK_STATE_CREATED && state <= weirpb.TaskState_TASK_STATE_FAILED {
			e.entered[state-1] = time.UnixMilli(at.GetUnixMillis())
		}
	}
	if e.entered[e.state].IsZero() {
		e.entered[e.state] = now
	}
	var last time.Time
	for state := Created; state <= e.state; state++ {
		if at := e.entered[state]; !at.IsZero() && at.Before(last) {
			e.entered[state] = last
		}
		if !e.entered[state].IsZero() {
			last = e.entered[state]
		}
	}
}
