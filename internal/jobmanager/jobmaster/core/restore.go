// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/coordinator"
	"github.com/weir-stream/weir/internal/graph"
)

// restorePhase is how far a restore is.
type restorePhase uint8

const (
	// restoreLoading waits for the metadata, restoreCommitting for the commits of that checkpoint, restoreStarting for
	// the enumerators.
	restoreLoading restorePhase = iota
	restoreCommitting
	restoreStarting
)

// restore takes regions from their backoff to where they can be deployed. The order is fixed: the newest completed
// checkpoint is read, all that it holds for committers is committed, enumerators start, then tasks do.
type restore struct {
	regions  []*region
	phase    restorePhase
	metadata *checkpoint.Metadata
	encoded  []byte
}

// operatorID names the state of a step in checkpoints.
func operatorID(n *graph.StreamNode) checkpoint.OperatorID {
	return checkpoint.OperatorID(n.OperatorID)
}

// stepRestore begins a restore of the regions that are due, or takes the one under way on.
func (m *Master) stepRestore(now time.Time) bool {
	if m.status == JobFailing || m.status == JobCancelling || m.checks.ending {
		return false
	}
	if !m.reconcile.step(m, now) {
		return false
	}
	if m.restore == nil {
		return m.beginRestore(now)
	}
	switch m.restore.phase {
	case restoreLoading:
	case restoreCommitting:
		if md := m.restore.metadata; md != nil && m.checks.coordinator.Committed() < m.commitID(md) {
			return false
		}
		if m.endRestored(now) {
			return true
		}
		m.restore.phase = restoreStarting
		if m.reconcile != nil {
			if m.adopt(now); m.restore == nil {
				return true
			}
		}
		m.restoreSources(m.restore.regions)
		return true
	case restoreStarting:
		for _, s := range m.sources {
			if !s.started {
				return false
			}
		}
		m.finishRestore(now)
		return true
	}
	return false
}

// beginRestore asks for the newest checkpoint, once no claim is under way that could make a newer one.
func (m *Master) beginRestore(now time.Time) bool {
	if !m.settled() {
		return false
	}
	var due []*region
	for _, r := range m.graph.regions {
		if r.state == regionBackoff && !now.Before(r.restartAt) {
			due = append(due, r)
		}
	}
	if len(due) == 0 {
		return false
	}
	load := LoadRestore{}
	for _, r := range due {
		r.state = regionRestoring
		load.Regions = append(load.Regions, r.index)
	}
	m.restore = &restore{regions: due}
	m.do(load)
	return true
}

// Restored answers LoadRestore: the metadata of the newest completed checkpoint and its encoded form for the tasks, or
// nothing for a fresh start. path is that of a checkpoint of another run.
func (m *Master) Restored(md *checkpoint.Metadata, encoded []byte, path string, now time.Time) {
	if m.restore == nil || m.restore.phase != restoreLoading {
		return
	}
	r := m.restore
	r.phase, r.metadata, r.encoded = restoreCommitting, md, encoded
	m.checks.known = true
	switch {
	case m.oddRestore(md):
		// Another checkpoint than the one that the running readers' logs start from: all has to restart.
		m.failAll(Failure{Text: "the newest checkpoint can't be read: the whole job restarts from one before", Kind: World}, now)
	case md != nil:
		m.checks.completed = m.commitID(md)
		m.tell(coordinator.Restored{Metadata: md, Path: path, Foreign: md.JobID != m.config.JobID})
	}
	m.advance(now)
}

// oddRestore reports whether some regions run on while the checkpoint is not the newest that completed.
func (m *Master) oddRestore(md *checkpoint.Metadata) bool {
	partial := len(m.restore.regions) < len(m.graph.regions)
	var id int64
	if md != nil {
		id = m.commitID(md)
	}
	return partial && id != m.checks.completed
}

// RestoreFailed answers LoadRestore when the store can't be read; it counts as a failure.
func (m *Master) RestoreFailed(err error, kind FailureKind, now time.Time) {
	if m.restore == nil || m.restore.phase != restoreLoading {
		return
	}
	f := Failure{At: now, Text: "restore: " + err.Error(), Kind: kind}
	m.record(f)
	regions := m.restore.regions
	m.restore = nil
	delay, ok := m.restarts.next(now)
	if !ok || kind == Fatal {
		m.failJob(f, now)
	} else {
		for _, r := range regions {
			r.state, r.restartAt = regionBackoff, now.Add(delay)
		}
	}
	m.advance(now)
}

// endRestored ends a job whose checkpoint says that nothing is left to run.
func (m *Master) endRestored(now time.Time) bool {
	md := m.restore.metadata
	if md == nil || !md.Kind.EndsJob() || md.JobID != m.config.JobID {
		return false
	}
	m.restore = nil
	m.checks.final = md.ID
	m.endWith(md.Kind, now)
	for _, r := range m.graph.regions {
		r.state = regionDone
	}
	return true
}

// finishRestore lets the regions wait for their slots.
func (m *Master) finishRestore(now time.Time) {
	for _, r := range m.restore.regions {
		r.state, r.began = regionWaiting, now
		r.restore, r.restored = m.restore.encoded, m.restore.id(m)
		for _, s := range r.members {
			e := m.graph.of(s)
			if e.state != Created {
				e = m.graph.renew(s, now)
			}
			e.transition(Scheduled, now)
		}
	}
	m.restore = nil
}

// id is that of the restored checkpoint as messages have it: zero for none, and for one of another run.
func (r *restore) id(m *Master) int64 {
	if r.metadata == nil {
		return 0
	}
	return m.commitID(r.metadata)
}

// commitID orders the commits of a restored checkpoint among those of the run: one of another run comes before all.
func (m *Master) commitID(md *checkpoint.Metadata) int64 {
	if md.JobID != m.config.JobID {
		return 0
	}
	return md.ID
}
