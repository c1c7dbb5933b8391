// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/graph"
)

// sourceOf returns the source that the execution reads for, or nil.
func (m *Master) sourceOf(e *execution) *source {
	for _, s := range m.sources {
		if s.vertex == e.vertex {
			return s
		}
	}
	return nil
}

func (m *Master) sourceIndex(s *source) int { return slices.Index(m.sources, s) }

// SourceVertex is the vertex of a source.
func (m *Master) SourceVertex(index int) *graph.JobVertex {
	return m.config.Graph.Vertices[m.sources[index].vertex]
}

// instance returns the source if the event is of its current enumerator.
func (m *Master) instance(index, instance int) *source {
	if index < 0 || index >= len(m.sources) || m.sources[index].instance != instance || m.status.Ended() {
		return nil
	}
	return m.sources[index]
}

// EnumeratorStarted tells that StartEnumerator is done.
func (m *Master) EnumeratorStarted(index, instance int, now time.Time) {
	if s := m.instance(index, instance); s != nil {
		s.started = true
		for _, e := range m.graph.current[s.vertex] {
			m.forwardReady(s, e) // what readers asked for before
		}
		m.advance(now)
	}
}

// EnumeratorFailed tells that an enumerator could not start or go on: all that reads from it starts again.
func (m *Master) EnumeratorFailed(index, instance int, err error, kind FailureKind, now time.Time) {
	s := m.instance(index, instance)
	if s == nil {
		return
	}
	name := m.config.Graph.Vertices[s.vertex].Source().UID
	f := Failure{Text: fmt.Sprintf("split enumerator of %s: %v", name, err), Kind: kind}
	m.do(StopEnumerator{index, instance})
	s.instance++ // events of the old one are of the past
	s.started = false
	m.failAll(f, now)
	m.advance(now)
}

// SplitsAssigned tells that an enumerator assigned splits to a reader, or told it that no more follow.
func (m *Master) SplitsAssigned(index, instance, reader int, splits []byte, noMore bool) {
	s := m.instance(index, instance)
	if s == nil || reader < 0 || reader >= len(s.readers) {
		return
	}
	s.readers[reader].assign(assignment{splits, noMore})
	m.sendNew(s, reader)
}

// sendNew sends what a reader may have and was not sent yet.
func (m *Master) sendNew(s *source, reader int) {
	m.sendAssignments(m.graph.current[s.vertex][reader], s.readers[reader].sent+1)
}

// sendHeld sends what waited for a trigger, or for the end of the checkpoint.
func (m *Master) sendHeld() {
	for _, s := range m.sources {
		for reader := range s.readers {
			m.sendNew(s, reader)
		}
	}
}

// sendAssignments says assignments from a number on to a reader.
func (m *Master) sendAssignments(e *execution, from int64) {
	s := m.sourceOf(e)
	if s == nil || !e.deployed() || e.state == Canceling {
		return
	}
	r := &s.readers[e.subtask]
	r.between(from, s.sendable(e.subtask), func(number int64, a assignment) {
		r.sent = max(r.sent, number)
		m.send(e.taskManager, assignMessage(e.attempt, number, a, s.supersededReaders()))
	})
}

// readerReady passes on that a reader asked for work more often than was known.
func (m *Master) readerReady(e *execution, ready int64) {
	s := m.sourceOf(e)
	if s == nil {
		return
	}
	e.ready = max(e.ready, ready)
	m.forwardReady(s, e)
}

func (m *Master) forwardReady(s *source, e *execution) {
	if !s.started || e.forwarded >= e.ready || !e.deployed() || e.state == Canceling {
		return
	}
	m.do(ReaderReady{
		Source: m.sourceIndex(s), Instance: s.instance, Reader: e.subtask, Times: e.ready - e.forwarded,
	})
	e.forwarded = e.ready
}

// restoreSources brings the enumerators to where the restored readers are. If all readers of a source restart, its
// enumerator is restored with them; if some do, it goes on and gets back what their restored state does not hold.
func (m *Master) restoreSources(restoring []*region) {
	restarts := func(s *source, reader int) bool {
		r := m.graph.regions[m.graph.regionOf[s.vertex][reader]]
		return slices.Contains(restoring, r)
	}
	for i, s := range m.sources {
		whole := true
		for k := range s.readers {
			whole = whole && restarts(s, k)
		}
		m.supersede(s, whole, restarts)
		if whole || !s.started {
			m.renewEnumerator(i, s)
			continue
		}
		for k := range s.readers {
			if !restarts(s, k) {
				continue
			}
			if back := s.readers[k].restart(); len(back) > 0 {
				m.do(AddBack{Source: i, Instance: s.instance, Reader: k, Splits: back})
			}
		}
	}
}

// supersede notes which attempts of readers are given up. They may run on, unheard; and where readers restart apart from each
// other, others may get their splits.
func (m *Master) supersede(s *source, whole bool, restarts func(s *source, reader int) bool) {
	if !s.spread {
		return
	}
	least := int64(math.MaxInt64)
	for k := range s.readers {
		if !restarts(s, k) {
			continue
		}
		below := m.graph.current[s.vertex][k].attempt
		if m.graph.current[s.vertex][k].state != Created {
			below++
		}
		least = min(least, below)
		if !whole && below > 1<<32|1 { // else it is the first attempt ever
			s.supersede(k, below)
		}
	}
	if whole && least > 1<<32|1 {
		clear(s.superseded)
		s.supersede(allReaders, least)
	}
}

// renewEnumerator replaces the enumerator of a source by one with the state of the restored checkpoint.
func (m *Master) renewEnumerator(index int, s *source) {
	if s.instance > 0 {
		m.do(StopEnumerator{index, s.instance})
	}
	s.instance++
	s.started, s.snapshots = false, nil
	for k := range s.readers {
		s.readers[k] = reader{}
	}
	start := StartEnumerator{Source: index, Instance: s.instance}
	for _, k := range slices.Sorted(maps.Keys(s.adopted)) {
		s.readers[k] = s.adopted[k]
		if splits := s.readers[k].beyond(); len(splits) > 0 {
			start.Assigned = append(start.Assigned, AssignedSplits{Reader: k, Splits: splits})
		}
	}
	s.adopted = nil
	if m.restore.metadata != nil {
		id := operatorID(m.config.Graph.Vertices[s.vertex].Source())
		if op := m.restore.metadata.Operator(id); op != nil && op.Enumerator != nil {
			start.Restored = op.Enumerator.State
		}
	}
	m.do(start)
}
