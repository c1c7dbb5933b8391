// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/graph"
)

// phase is how far an open checkpoint is. It only moves on.
type phase uint8

const (
	// snapshotting waits for enumerators, collecting for tasks, acked for its turn, writing and claiming for the store.
	snapshotting phase = iota
	collecting
	acked
	writing
	claiming
)

// open is a checkpoint under way.
type open struct {
	id    int64
	kind  checkpoint.Kind
	phase phase
	flags element.BarrierFlags
	// request asked for it, nil if none did. location is a savepoint's directory.
	request  *request
	location string
	deadline time.Time
	// retryAt is when a claim whose outcome is unknown is repeated.
	retryAt time.Time
	claims  backoff
	// parts are the tasks of each vertex; missing counts those that have not acknowledged.
	parts   [][]part
	missing int
	// metadata is filled in as acknowledgements come. first is the index in it of the operators of each vertex.
	metadata *checkpoint.Metadata
	first    []int
	// files are the paths that acknowledgements refer to, with repetitions.
	files []string
	stats *CheckpointStats
}

// part is what a checkpoint expects of a subtask.
type part struct {
	attempt int64
	// waits holds until the acknowledgement; it is false from the start for finished tasks.
	waits bool
}

// failure is why a checkpoint is aborted.
type failure struct {
	reason string
	// counts says that it counts as a failure of the checkpoint, again that it is to be triggered again at once.
	counts, again bool
}

func (c *Coordinator) find(id int64, phases ...phase) *open {
	for _, o := range c.open {
		if o.id == id && slices.Contains(phases, o.phase) {
			return o
		}
	}
	return nil
}

func (o *open) waitsFor(t graph.SubtaskID, attempt int64) bool {
	if t.Vertex < 0 || t.Vertex >= len(o.parts) || t.Subtask < 0 || t.Subtask >= len(o.parts[t.Vertex]) {
		return false
	}
	p := o.parts[t.Vertex][t.Subtask]
	return p.waits && p.attempt == attempt
}

// concerns reports whether a change of a task aborts the checkpoint: one that it waits for ends or is replaced, or one
// that took part is.
func (o *open) concerns(t TaskChange) bool {
	p := o.parts[t.Task.Vertex][t.Task.Subtask]
	if t.State >= Ended && t.Attempt == p.attempt {
		return p.waits
	}
	return t.State == Absent || t.Attempt != p.attempt
}

func (o *open) progress() string {
	n := 0
	for _, ps := range o.parts {
		n += len(ps)
	}
	switch o.phase {
	case snapshotting:
		return "enumerators have not answered"
	case collecting:
		return fmt.Sprintf("%d of %d tasks are missing", o.missing, n)
	default:
		return "its metadata is not stored"
	}
}

// trigger opens a checkpoint.
func (c *Coordinator) trigger(now time.Time, kind checkpoint.Kind, r *request) {
	o := &open{id: c.ids.take(), kind: kind, request: r, deadline: now.Add(c.c.Settings.Timeout)}
	switch kind {
	case checkpoint.Periodic:
		if c.c.Settings.AtLeastOnce {
			o.flags |= element.AtLeastOnce
		}
	case checkpoint.Savepoint:
		o.flags |= element.Savepoint
	case checkpoint.Terminal:
		o.flags |= element.Savepoint | element.Terminal
	case checkpoint.Suspend:
		o.flags |= element.Terminal
	case checkpoint.Final:
	}
	if c.full || r != nil && r.Full {
		o.flags |= element.Full
	}
	if r != nil && (kind == checkpoint.Savepoint || kind == checkpoint.Terminal) {
		o.location = r.Dir + "/" + checkpoint.SavepointName(c.c.JobID, o.id)
	}
	c.expect(o, now)
	o.stats = c.stats.triggered(o, now)
	c.open = append(c.open, o)
	var sources []checkpoint.OperatorID
	for _, vertex := range c.c.Vertices {
		for _, op := range vertex.Operators {
			// Also of sources that have finished: without its state an enumerator would begin anew after a restore.
			if op.Source {
				sources = append(sources, op.ID)
			}
		}
	}
	if len(sources) > 0 {
		c.do(SnapshotEnumerators{ID: o.id, Sources: sources})
		return
	}
	c.start(o)
}

// expect fixes which tasks take part, and prepares the metadata.
func (c *Coordinator) expect(o *open, now time.Time) {
	o.metadata = &checkpoint.Metadata{
		JobID: c.c.JobID, JobName: c.c.JobName, ID: o.id, Epoch: c.c.Epoch, Kind: o.kind, Trigger: now.UTC(), Fingerprint: c.c.Fingerprint,
	}
	for v, vertex := range c.c.Vertices {
		parts := make([]part, vertex.Parallelism)
		for s := range parts {
			t := c.tasks.of[v][s]
			parts[s] = part{attempt: t.attempt, waits: t.state != Finished}
			if parts[s].waits {
				o.missing++
			}
		}
		o.parts = append(o.parts, parts)
		o.first = append(o.first, len(o.metadata.Operators))
		for _, op := range vertex.Operators {
			subtasks := make([]checkpoint.Subtask, vertex.Parallelism)
			for s := range subtasks {
				subtasks[s].Finished = !parts[s].waits
			}
			o.metadata.Operators = append(o.metadata.Operators, checkpoint.Operator{
				ID: op.ID, UID: op.UID, Name: op.Name, Parallelism: vertex.Parallelism, MaxParallelism: vertex.MaxParallelism, Subtasks: subtasks,
			})
		}
	}
}

func (c *Coordinator) enumeratorsSnapshotted(e EnumeratorsSnapshotted) {
	o := c.find(e.ID, snapshotting)
	if o == nil {
		return
	}
	for _, s := range e.Enumerators {
		if op := o.metadata.Operator(s.Operator); op != nil {
			op.Enumerator = &checkpoint.Enumerator{State: s.State, Assigned: s.Assigned}
		}
	}
	c.start(o)
}

// start triggers the tasks that get no barrier from others.
func (c *Coordinator) start(o *open) {
	o.phase = collecting
	t := Trigger{ID: o.id, Flags: o.flags, Drain: o.request != nil && o.request.Drain}
	for v, parts := range o.parts {
		for s, p := range parts {
			id := graph.SubtaskID{Vertex: v, Subtask: s}
			if p.waits && c.tasks.head(id) {
				t.Tasks = append(t.Tasks, TriggerTask{Task: id, Attempt: p.attempt, Number: o.number(c.c.Vertices[v], v, s)})
			}
		}
	}
	c.do(t)
}

// number is that of the last assignment to a reader in the snapshot of its enumerator.
func (o *open) number(vertex Vertex, v, subtask int) int64 {
	for i, op := range vertex.Operators {
		if e := o.metadata.Operators[o.first[v]+i].Enumerator; op.Source && e != nil && subtask < len(e.Assigned) {
			return e.Assigned[subtask]
		}
	}
	return 0
}

func (c *Coordinator) ack(now time.Time, a Ack) {
	o := c.find(a.ID, collecting)
	if o == nil || !o.waitsFor(a.Task, a.Attempt) {
		c.dropLate(a)
		return
	}
	o.parts[a.Task.Vertex][a.Task.Subtask].waits = false
	o.missing--
	if stale := c.hold(o, a); stale != "" {
		c.full = true
		c.abort(now, o, failure{reason: "it builds on " + stale + ", which is deleted", again: true})
		return
	}
	if stranger := c.fill(o, a); stranger != "" {
		c.abort(now, o, failure{reason: fmt.Sprintf("acknowledgement by subtask %d of vertex %d for operator %q, which it hasn't got", a.Task.Subtask, a.Task.Vertex, stranger), counts: true})
		return
	}
	o.stats.acked(o, a, now)
	if o.missing == 0 {
		o.phase = acked
	}
}

// fill puts an acknowledgement into the metadata. It returns an operator that is none of the task's.
func (c *Coordinator) fill(o *open, a Ack) (stranger checkpoint.OperatorID) {
	operators := c.c.Vertices[a.Task.Vertex].Operators
	first := o.first[a.Task.Vertex]
	subtask := func(id checkpoint.OperatorID) *checkpoint.Subtask {
		i := slices.IndexFunc(operators, func(op Operator) bool { return op.ID == id })
		if i < 0 {
			stranger = id
			return &checkpoint.Subtask{}
		}
		return &o.metadata.Operators[first+i].Subtasks[a.Task.Subtask]
	}
	for i := range a.State {
		subtask(a.State[i].Operator).State = a.State[i].State
	}
	for _, p := range a.Prepared {
		subtask(p.Operator).Committables = p.Committables
	}
	return stranger
}

// store has acknowledged checkpoints stored, in the order of their ids. A periodic one that others overtook has no use
// any more.
func (c *Coordinator) store(now time.Time) {
	for i := 0; i < len(c.open); i++ {
		o := c.open[i]
		if o.phase != acked {
			continue
		}
		for older := c.olderThan(o); older != nil && older.phase <= collecting; older = c.olderThan(o) {
			c.abort(now, older, failure{reason: fmt.Sprintf("checkpoint %d overtook it", o.id)})
		}
		if c.olderThan(o) != nil {
			return
		}
		o.phase = writing
		o.metadata.History = c.stats.history(o)
		c.do(WriteMetadata{ID: o.id, Metadata: o.metadata, Location: o.location})
		i = slices.Index(c.open, o)
	}
}

// olderThan returns the newest that is older than o and open, savepoints aside: they come in no order.
func (c *Coordinator) olderThan(o *open) *open {
	if o.kind == checkpoint.Savepoint {
		return nil
	}
	for _, x := range slices.Backward(c.open) {
		if x.id < o.id && x.kind != checkpoint.Savepoint {
			return x
		}
	}
	return nil
}

// hold makes the checkpoint refer to the files of an acknowledgement. It returns one that is not there any more.
func (c *Coordinator) hold(o *open, a Ack) (stale string) {
	for i := range a.State {
		for _, s := range a.State[i].State.Segments {
			switch {
			case s.Path == "" || checkpoint.IsAbs(s.Path):
			case s.Checkpoint != o.id && c.files.refs[s.Path] == 0:
				stale = s.Path
			default:
				c.files.refs[s.Path]++
				o.files = append(o.files, s.Path)
			}
		}
	}
	return stale
}

// dropLate removes what a task wrote for a checkpoint that was aborted meanwhile.
func (c *Coordinator) dropLate(a Ack) {
	if a.ID < c.ids.first || a.ID >= c.ids.next || c.find(a.ID, snapshotting, collecting, acked, writing, claiming) != nil {
		return
	}
	var late []string
	for i := range a.State {
		for _, s := range a.State[i].State.Segments {
			if s.Checkpoint == a.ID && s.Path != "" && !checkpoint.IsAbs(s.Path) && c.files.refs[s.Path] == 0 {
				late = append(late, s.Path)
			}
		}
	}
	if late = unique(late); len(late) > 0 {
		c.do(RemoveFiles{Files: late})
	}
}

func (c *Coordinator) remove(o *open) {
	c.open = slices.DeleteFunc(c.open, func(x *open) bool { return x == o })
}

// abort ends a checkpoint without effect.
func (c *Coordinator) abort(now time.Time, o *open, f failure) {
	c.remove(o)
	c.lastEnd = now
	if o.phase >= writing && o.kind != checkpoint.Savepoint {
		c.files.garbage = append(c.files.garbage, o.id) // its metadata may be there
	}
	gone := c.files.release(o.files)
	if o.location != "" {
		c.do(DiscardSavepoint{Location: o.location})
	}
	c.stats.failed(o, f.reason, now)
	c.do(NotifyAborted{ID: o.id, Latest: c.latest, Reason: f.reason})
	if own := unique(gone); len(own) > 0 {
		c.do(RemoveFiles{Files: own})
	}
	c.settle()
	switch {
	case f.again && o.request != nil:
		c.requests = slices.Insert(c.requests, 0, *o.request)
	case f.again:
		c.nextTrigger, c.nextFinal = now, now
		c.lastEnd = time.Time{}
	case o.request != nil:
		c.do(Reply{Number: o.request.Number, ID: o.id, Err: errors.New(f.reason)})
		if o.request.Drain && o.phase >= collecting {
			c.do(FailJob{Err: fmt.Errorf("checkpoint %d aborted after sources were drained: %s", o.id, f.reason)})
		}
	default:
		c.failed(now, o, f)
	}
}

// failed counts the failure of a checkpoint that nobody asked for.
func (c *Coordinator) failed(now time.Time, o *open, f failure) {
	if o.kind == checkpoint.Final {
		c.nextFinal = now.Add(finalRetry)
	}
	if !f.counts {
		return
	}
	c.failures++
	if c.failures > c.c.Settings.TolerableFailures {
		c.do(FailJob{Err: fmt.Errorf("%d checkpoints failed in a row, %d are tolerated; the last, %d: %s", c.failures, c.c.Settings.TolerableFailures, o.id, f.reason)})
		c.failures = 0
	}
}

// complete ends a checkpoint that was claimed.
func (c *Coordinator) complete(now time.Time, o *open) {
	c.remove(o)
	c.lastEnd = now
	c.failures = 0
	c.stats.completed(o, now)
	if o.kind == checkpoint.Savepoint {
		c.files.garbage = append(c.files.garbage, o.id) // only its marker is in the run's store
		c.do(NotifyAborted{ID: o.id, Latest: c.latest, Reason: "it was a savepoint", Savepoint: true})
		c.do(Reply{Number: o.request.Number, ID: o.id, Location: o.location})
		if gone := unique(c.files.release(o.files)); len(gone) > 0 {
			c.do(RemoveFiles{Files: gone}) // the savepoint has copies of its own
		}
		c.settle()
		return
	}
	c.latest = o.id
	c.full = c.full && o.flags&(element.Full|element.Savepoint) == 0
	c.commits.add(Commit{ID: o.id, Metadata: o.metadata})
	c.files.retained = append(c.files.retained, Retained{ID: o.id, Files: o.files})
	c.files.drop(c.c.Settings.Retained, c.lastOpen())
	c.do(NotifyCompleted{ID: o.id})
	if o.kind != checkpoint.Periodic {
		c.ending = &EndJob{ID: o.id, Kind: o.kind, Location: o.location}
		c.commits.reply = o.request
	} else if o.request != nil {
		c.do(Reply{Number: o.request.Number, ID: o.id})
	}
	c.settle()
}

// lastOpen is the highest id that is open, 0 if none is.
func (c *Coordinator) lastOpen() int64 {
	if len(c.open) == 0 {
		return 0
	}
	return c.open[len(c.open)-1].id
}
