// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import (
	"cmp"
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// deploy sends the attempts of a region whose slots are all there, in one batch a TaskManager.
func (m *Master) deploy(r *region, now time.Time) {
	r.state, r.deployment = regionDeployed, m.graph.deployment()
	for _, s := range r.members {
		e, slot := m.graph.of(s), m.slots.at(s.index)
		e.allocation, e.taskManager, e.process = slot.allocation, slot.taskManager, m.slots.managers[slot.taskManager].process
		e.endpoint = m.slots.address(slot.taskManager)
		e.transition(Deploying, now)
	}
	m.sendDeploy(r, func(string) bool { return true }, now)
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

// sendDeploy deploys those attempts of a region that no report has shown, in one message a TaskManager. due tells which
// TaskManagers are meant.
func (m *Master) sendDeploy(r *region, due func(taskManager string) bool, now time.Time) {
	p := producers{m: m, region: r, addresses: map[string]int32{}}
	messages := map[string]*weirpb.DeployTasks{}
	groups := make(map[string]int32, len(m.config.Graph.KeyGroups))
	for id, n := range m.config.Graph.KeyGroups {
		groups[id] = int32(n)
	}
	for _, s := range r.members {
		e := m.graph.of(s)
		tm := m.slots.managers[e.taskManager]
		if tm == nil || e.state != Deploying || e.seen || !due(tm.id) {
			continue
		}
		d := messages[tm.id]
		if d == nil {
			d = &weirpb.DeployTasks{
				Incarnation: tm.incarnation, JobName: m.config.Graph.Name, Fingerprint: m.config.Graph.Fingerprint,
				CheckpointDir: m.config.CheckpointDir, Restore: r.restore, Restored: r.restored, Process: tm.process,
				KeyGroups: groups,
			}
			messages[tm.id] = d
		}
		if n := len(d.GetTasks()); n == 0 || d.GetTasks()[n-1].GetVertex() != int32(e.vertex) { // members are ordered by vertex
			d.Edges = append(d.Edges, p.into(m.config.Graph.Vertices[e.vertex])...)
		}
		e.deployedAt = now
		d.Tasks = append(d.Tasks, m.describe(e))
	}
	for _, id := range m.slots.order {
		if d := messages[id]; d != nil {
			d.Addresses = p.list
			m.send(id, &weirpb.Envelope{Body: &weirpb.Envelope_DeployTasks{DeployTasks: d}})
		}
	}
}

// describe says what a TaskManager needs to start an attempt, beside where its input comes from.
func (m *Master) describe(e *execution) *weirpb.TaskDescriptor {
	v := m.config.Graph.Vertices[e.vertex]
	return &weirpb.TaskDescriptor{
		Vertex: int32(e.vertex), Subtask: int32(e.subtask), Attempt: e.attempt, AllocationId: e.allocation,
		Parallelism: int32(v.Parallelism), MaxParallelism: int32(v.MaxParallelism),
		Deployment: m.graph.regionOfExecution(e).deployment, Number: int32(e.number), Entered: timesOf(e),
	}
}

// producers lists where the records of a region's edges come from. The lists are shared by all messages that deploy it: they
// must not change.
type producers struct {
	m      *Master
	region *region
	// edges are the lists made so far, by vertex; list has the addresses that they name, and addresses is its inverse.
	edges     map[int][]*weirpb.EdgeProducers
	list      []string
	addresses map[string]int32
}

// into returns the in edges of a vertex.
func (p *producers) into(v *graph.JobVertex) []*weirpb.EdgeProducers {
	if p.edges == nil {
		p.edges = map[int][]*weirpb.EdgeProducers{}
	}
	if _, made := p.edges[v.Index]; !made {
		p.edges[v.Index] = nil
		for i, edge := range v.In {
			p.edges[v.Index] = append(p.edges[v.Index], &weirpb.EdgeProducers{
				Vertex: int32(v.Index), Input: int32(i), Producers: p.ranges(edge.From.Index),
			})
		}
	}
	return p.edges[v.Index]
}

// ranges lists the attempts of a vertex in the region. All that feed one of its tasks are in it.
func (p *producers) ranges(vertex int) []*weirpb.ProducerRange {
	members := p.region.members
	first, _ := slices.BinarySearchFunc(members, vertex, func(s subtask, v int) int { return cmp.Compare(s.vertex, v) })
	var all []*weirpb.ProducerRange
	for _, s := range members[first:] {
		if s.vertex != vertex {
			break
		}
		e := p.m.graph.of(s)
		address := p.address(p.m.slots.address(e.taskManager))
		if n := len(all); n > 0 {
			last := all[n-1]
			if int(last.GetFirst()+last.GetCount()) == s.index && last.GetFirstAttempt()+int64(last.GetCount()) == e.attempt &&
				last.GetAddress() == address {
				last.Count++
				continue
			}
		}
		all = append(all, &weirpb.ProducerRange{First: int32(s.index), Count: 1, FirstAttempt: e.attempt, Address: address})
	}
	return all
}

func (p *producers) address(address string) int32 {
	i, known := p.addresses[address]
	if !known {
		i = int32(len(p.list))
		p.addresses[address] = i
		p.list = append(p.list, address)
	}
	return i
}

// heartbeat says again what the ResourceManager and each TaskManager are to know, and what no answer has shown to have
// arrived.
func (m *Master) heartbeat(now time.Time) {
	m.hosts.looked = -1 // a record that failed is tried again
	m.declareNeeds()
	wanted := m.wanted()
	for _, id := range m.slots.order {
		m.sendHeartbeatOf(m.slots.managers[id], wanted[id])
	}
	for _, r := range m.graph.regions {
		if r.state != regionDeployed {
			continue
		}
		if unseen := m.unseen(r, now); len(unseen) > 0 {
			m.sendDeploy(r, func(taskManager string) bool { return unseen[taskManager] }, now)
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

// unseen are the TaskManagers on which attempts of the region were deployed that no report has shown since.
func (m *Master) unseen(r *region, now time.Time) map[string]bool {
	var on map[string]bool
	for _, s := range r.members {
		if e := m.graph.of(s); e.state == Deploying && !e.seen && now.Sub(e.deployedAt) >= m.config.Heartbeat {
			if on == nil {
				on = map[string]bool{}
			}
			on[e.taskManager] = true
		}
	}
	return on
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
	d.Sought = m.reconcile.sought()
	return &weirpb.Envelope{Body: &weirpb.Envelope_DeclareNeeds{DeclareNeeds: d}}
}

// wanted are the attempts that each TaskManager is to have.
func (m *Master) wanted() map[string][]int64 {
	wanted := map[string][]int64{}
	m.graph.all(func(e *execution) {
		if e.deployed() && e.state != Canceling || e.state == Finished {
			wanted[e.taskManager] = append(wanted[e.taskManager], e.attempt)
		}
	})
	return wanted
}

// sendHeartbeat tells a TaskManager all that the JobMaster knows of it.
func (m *Master) sendHeartbeat(tm *manager) { m.sendHeartbeatOf(tm, m.wanted()[tm.id]) }

func (m *Master) sendHeartbeatOf(tm *manager, wanted []int64) {
	m.send(tm.id, &weirpb.Envelope{Body: &weirpb.Envelope_JobMasterHeartbeat{JobMasterHeartbeat: &weirpb.JobMasterHeartbeat{
		Incarnation: tm.incarnation, Attempts: wanted, Ended: tm.ended, Outcome: m.outcome(), Allocations: m.slots.of(tm.id),
		Reconciling: m.reconcile != nil, Steady: m.steady(),
	}}})
}
