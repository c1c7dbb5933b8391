// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"time"

	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// deploy sends the attempts of a region whose slots are all there, in one batch a TaskManager.
func (m *Master) deploy(r *region, now time.Time) {
	r.state, r.deployment = regionDeployed, m.graph.deployment()
	for _, s := range r.members {
		e, slot := m.graph.of(s), m.slots.at(s.index)
		e.allocation, e.taskManager = slot.allocation, slot.taskManager
		e.endpoint = m.slots.address(slot.taskManager)
		e.transition(Deploying, now)
	}
	for _, id := range m.slots.order {
		m.sendDeploy(r, id, now)
	}
	for _, at := range r.members { // an enumerator may have assigned splits before there was a reader to send them to
		if s := m.sourceOf(m.graph.of(at)); s != nil {
			m.sendNew(s, at.index)
		}
	}
	if m.status == JobRestarting && m.allDeployed() {
		m.setStatus(JobRunning, nil)
	}
}

func (m *Master) allDeployed() bool {
	for _, r := range m.graph.regions {
		if r.state != regionDeployed && r.state != regionDone {
			return false
		}
	}
	return true
}

// sendDeploy deploys those attempts of the region that are for a TaskManager and that no report of it has shown.
func (m *Master) sendDeploy(r *region, taskManager string, now time.Time) {
	d := &weirpb.DeployTasks{
		JobName: m.config.Graph.Name, Fingerprint: m.config.Graph.Fingerprint,
		CheckpointDir: m.config.CheckpointDir, Restore: r.restore, Restored: r.restored,
	}
	for _, s := range r.members {
		e := m.graph.of(s)
		if e.taskManager == taskManager && e.state == Deploying && !e.seen {
			e.deployedAt = now
			d.Tasks = append(d.Tasks, m.describe(e))
		}
	}
	if tm := m.slots.managers[taskManager]; tm != nil && len(d.Tasks) > 0 {
		d.Incarnation = tm.incarnation
		m.send(taskManager, &weirpb.Envelope{Body: &weirpb.Envelope_DeployTasks{DeployTasks: d}})
	}
}

// describe says all that a TaskManager needs to start an attempt.
func (m *Master) describe(e *execution) *weirpb.TaskDescriptor {
	v := m.config.Graph.Vertices[e.vertex]
	d := &weirpb.TaskDescriptor{
		Vertex: int32(e.vertex), Subtask: int32(e.subtask), Attempt: e.attempt, AllocationId: e.allocation,
		Parallelism: int32(v.Parallelism), MaxParallelism: int32(v.MaxParallelism),
		Deployment: m.graph.regionOfExecution(e).deployment,
	}
	for _, edge := range v.In {
		d.Inputs = append(d.Inputs, m.channels(edge, e.subtask)...)
	}
	return d
}

// channels lists where the records of an edge come from, for one consumer.
func (m *Master) channels(edge *graph.JobEdge, subtask int) []*weirpb.InputChannel {
	var inputs []*weirpb.InputChannel
	for _, p := range edge.Producers(subtask) {
		producer := m.graph.current[edge.From.Index][p]
		in := &weirpb.InputChannel{
			ProducerAttempt: producer.attempt, Edge: int32(edge.OutIndex), Subpartition: int32(edge.Channel(subtask)),
		}
		in.Address = m.slots.address(producer.taskManager)
		inputs = append(inputs, in)
	}
	return inputs
}

// heartbeat says again what the ResourceManager and each TaskManager are to know, and what no answer has shown to have
// arrived.
func (m *Master) heartbeat(now time.Time) {
	m.declareNeeds()
	for _, id := range m.slots.order {
		m.sendHeartbeat(m.slots.managers[id])
		for _, r := range m.graph.regions {
			if r.state == regionDeployed && m.unseen(r, id, now) {
				m.sendDeploy(r, id, now)
			}
		}
	}
	m.sendCancels(m.graph.all)
}

// sendCancels has those executions that are canceling canceled, in one message a TaskManager.
func (m *Master) sendCancels(among func(func(*execution))) {
	attempts := map[string][]int64{}
	among(func(e *execution) {
		if e.state == Canceling {
			attempts[e.taskManager] = append(attempts[e.taskManager], e.attempt)
		}
	})
	for _, id := range m.slots.order {
		if len(attempts[id]) > 0 {
			m.send(id, &weirpb.Envelope{Body: &weirpb.Envelope_CancelTasks{
				CancelTasks: &weirpb.CancelTasks{Attempts: attempts[id]},
			}})
		}
	}
}

// unseen reports whether an attempt of the region was deployed on the TaskManager and no report has shown it since.
func (m *Master) unseen(r *region, taskManager string, now time.Time) bool {
	return !m.graph.regionEvery(r, func(e *execution) bool {
		return e.taskManager != taskManager || e.state != Deploying || e.seen ||
			now.Sub(e.deployedAt) < m.config.Heartbeat
	})
}

// declareNeeds says what the job needs and holds.
func (m *Master) declareNeeds() { m.send(m.config.ResourceManager, m.needs(len(m.slots.seats))) }

// needs declares how many slots the job is to have.
func (m *Master) needs(slots int) *weirpb.Envelope {
	d := &weirpb.DeclareNeeds{
		JobId: m.config.JobID, JobMaster: m.config.Name, Version: m.needsVersion, Slots: int32(slots),
	}
	for _, id := range m.slots.seats {
		if id != "" {
			d.Held = append(d.Held, id)
		}
	}
	return &weirpb.Envelope{Body: &weirpb.Envelope_DeclareNeeds{DeclareNeeds: d}}
}

// sendHeartbeat tells a TaskManager all that the JobMaster knows of it.
func (m *Master) sendHeartbeat(tm *manager) {
	h := &weirpb.JobMasterHeartbeat{
		Incarnation: tm.incarnation, Ended: tm.ended, Outcome: m.outcome(), Allocations: m.slots.of(tm.id),
		Reconciling: m.reconcile != nil,
	}
	m.graph.all(func(e *execution) {
		if e.taskManager == tm.id && (e.deployed() && e.state != Canceling || e.state == Finished) {
			h.Attempts = append(h.Attempts, e.attempt)
		}
	})
	m.send(tm.id, &weirpb.Envelope{Body: &weirpb.Envelope_JobMasterHeartbeat{JobMasterHeartbeat: h}})
}
