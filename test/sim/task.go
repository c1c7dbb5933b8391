// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
	"github.com/weir-stream/weir/internal/statebackend"
	"github.com/weir-stream/weir/internal/task/alignment"
	"github.com/weir-stream/weir/internal/task/splits"
	executorcore "github.com/weir-stream/weir/internal/taskmanager/executor/core"
)

var errLost = errors.New("lost")

// channelItemsMax is how many items a channel holds before its producer waits.
const channelItemsMax = 8

// record is what flows: its place in the input and, behind the counting step, how many of its key there were.
type record struct{ ID, Count int }

func keyOf(id int) int { return id % 5 }

// split is a range of records; Next is read next.
type split struct{ ID, Next, End int }

// snapshotState is what a task restores.
type snapshotState struct {
	Splits []split
	NoMore bool
	Counts map[int]int
}

// committable is output that was prepared for a checkpoint.
type committable struct {
	ID         string
	Checkpoint int64
	Records    []record
}

// item is what a channel carries.
type item struct {
	record  *record
	barrier *element.CheckpointBarrier
	end     bool
}

// channelID names a channel by its producer.
type channelID struct {
	attempt int64
	edge    int
	to      int
}

type channel struct {
	items    []item
	lost     bool // the producer ended before its input did
	consumer *task
	producer *task
	blocked  bool
}

// task is the model of a task around the real cores of split assignment and alignment.
type task struct {
	tm             *taskManager
	s              *simulation
	vertex         *graph.JobVertex
	index          int
	attempt        int64
	dead, running  bool
	finished       bool
	ledger         *splits.Ledger // of sources
	aligner        *alignment.Aligner
	in             []*channel
	out            [][]*channel // by edge and consumer
	state          snapshotState
	pending        []record
	kept           []committable
	ready          int64
	asked, ended   bool
	told           bool
	terminal       int64
	writing        int
	planned        bool // a turn is
	mailAt         time.Time
	counting, sink bool
}

// start makes the task of an attempt.
func (t *taskManager) start(a executorcore.Start) {
	d := a.Task
	k := &task{
		tm: t, s: t.s, vertex: t.s.graph.Vertices[d.GetVertex()], index: int(d.GetSubtask()), attempt: d.GetAttempt(),
	}
	t.s.checkStart(k)
	t.tasks[k.attempt] = k
	t.s.tasks = append(t.s.tasks, k)
	k.wire(a.Deploy, d)
	t.s.w.after(t.s.w.delay(20*time.Millisecond), func() {
		if k.dead {
			return
		}
		if len(a.Deploy.GetRestore()) > 0 {
			if err := k.restore(a.Deploy.GetRestore()); err != nil {
				t.s.w.fail("restore of attempt %x: %v", k.attempt, err)
				return
			}
		}
		k.running = true
		t.s.noteWhole()
		t.s.w.trace("%s: attempt %x of %s runs with %v", t.id, k.attempt, k.vertex.Name, k.state)
		k.report(func() {
			t.executor.Changed(k.attempt, weirpb.TaskState_TASK_STATE_RUNNING, "", weirpb.FailureKind_FAILURE_KIND_UNSPECIFIED,
				t.s.w.now)
		})
		k.plan()
	})
}

// wire connects the channels.
func (k *task) wire(deploy *weirpb.DeployTasks, d *weirpb.TaskDescriptor) {
	for _, n := range k.vertex.Nodes {
		k.counting = k.counting || n.UID == "count"
		k.sink = k.sink || n.Sink != nil
	}
	if k.vertex.Source() != nil {
		k.ledger = splits.New(d.GetReaderNumber())
	}
	inputs, err := executorcore.Inputs(deploy, k.vertex, k.index)
	if err != nil {
		k.s.w.fail("inputs: %v", err)
	}
	k.aligner = alignment.New(len(inputs))
	for _, in := range inputs {
		c := k.s.channel(channelID{in.Attempt, in.Edge, in.Subpartition})
		c.consumer = k
		k.in = append(k.in, c)
	}
	for _, e := range k.vertex.Out {
		var to []*channel
		for i := range e.Consumers() {
			c := k.s.channel(channelID{k.attempt, e.OutIndex, i})
			c.producer = k
			to = append(to, c)
		}
		k.out = append(k.out, to)
	}
}

func (k *task) restore(encoded []byte) error {
	md, err := checkpoint.Decode(encoded)
	if err != nil {
		return err
	}
	for _, n := range k.vertex.Nodes {
		op := md.Operator(checkpoint.OperatorID(n.OperatorID))
		if op == nil || len(op.Subtasks[k.index].State.Segments) == 0 {
			continue
		}
		if err := json.Unmarshal(op.Subtasks[k.index].State.Segments[0].Inline, &k.state); err != nil {
			return err
		}
	}
	return nil
}

// report calls the executor's core, and does what that says.
func (k *task) report(f func()) {
	if k.dead || k.tm.executor == nil {
		return
	}
	f()
	k.tm.perform()
}

// observed is what the executor sees of the task.
func (k *task) observed() executorcore.Observed {
	o := executorcore.Observed{Ready: k.ready, Waiting: k.asked && !k.state.NoMore}
	if k.ledger != nil {
		o.Assigned = k.ledger.Applied()
	}
	return o
}

// mail has f called soon, in order.
func (k *task) mail(f func()) {
	at := k.s.w.now.Add(k.s.w.delay(2 * time.Millisecond))
	if !k.running { // restoring, which takes up to 20 ms
		at = at.Add(20 * time.Millisecond)
	}
	if at.Before(k.mailAt) {
		at = k.mailAt
	}
	k.mailAt = at
	k.s.w.after(at.Sub(k.s.w.now), func() {
		if !k.dead {
			f()
			k.finish()
			k.plan()
		}
	})
}

// plan has the task take a turn if it has something to do.
func (k *task) plan() {
	if k.planned || k.dead || !k.able() {
		return
	}
	k.planned = true
	pace := 4 * time.Millisecond
	if k.ledger != nil {
		pace = 60 * time.Millisecond
	}
	k.s.w.after(k.s.w.delay(pace), func() {
		k.planned = false
		if k.dead {
			return
		}
		if k.s.w.faulty(k.s.w.faults.taskFails) {
			k.end(weirpb.TaskState_TASK_STATE_FAILED, "user code failed")
			return
		}
		k.turn()
		k.finish()
		k.plan()
	})
}

// able reports whether a turn would do something.
func (k *task) able() bool {
	if !k.running || k.ended || k.full() {
		return false
	}
	if k.ledger != nil {
		return k.terminal == 0 && (len(k.state.Splits) > 0 || k.state.NoMore || !k.asked)
	}
	return slices.ContainsFunc(k.in, func(c *channel) bool { return !c.blocked && (len(c.items) > 0 || c.lost) })
}

// full reports whether a consumer is too slow.
func (k *task) full() bool {
	for _, to := range k.out {
		if slices.ContainsFunc(to, func(c *channel) bool { return len(c.items) >= channelItemsMax }) {
			return true
		}
	}
	return false
}

// turn reads a record, or takes an item of a channel.
func (k *task) turn() {
	if !k.able() {
		return
	}
	if k.ledger == nil {
		k.takeItem()
		return
	}
	if len(k.state.Splits) == 0 {
		if k.state.NoMore {
			k.endInput()
			return
		}
		k.asked = true
		k.ready++
		k.report(func() { k.tm.executor.ReaderReady(k.attempt, k.ready) })
		return
	}
	s := &k.state.Splits[0]
	k.process(record{ID: s.Next})
	if s.Next++; s.Next == s.End {
		k.state.Splits = k.state.Splits[1:]
	}
}

// takeItem takes an item of one of the channels that have one.
func (k *task) takeItem() {
	var able []int
	for i, c := range k.in {
		if !c.blocked && (len(c.items) > 0 || c.lost) {
			able = append(able, i)
		}
	}
	i := able[k.s.w.random.IntN(len(able))]
	c := k.in[i]
	if len(c.items) == 0 {
		k.end(weirpb.TaskState_TASK_STATE_FAILED, "a producer is gone")
		return
	}
	x := c.items[0]
	c.items = c.items[1:]
	if c.producer != nil {
		c.producer.plan()
	}
	switch {
	case x.record != nil:
		k.process(*x.record)
	case x.barrier != nil:
		k.decide(i, k.aligner.Barrier(i, *x.barrier, k.s.w.now))
	default:
		d := k.aligner.End(i, k.s.w.now)
		if k.aligner.Ended() {
			k.endInput()
		}
		k.decide(i, d)
	}
}

// process passes a record through the steps of the task.
func (k *task) process(r record) {
	if k.counting {
		if k.state.Counts == nil {
			k.state.Counts = map[int]int{}
		}
		k.state.Counts[keyOf(r.ID)]++
		r.Count = k.state.Counts[keyOf(r.ID)]
	}
	if k.sink {
		k.pending = append(k.pending, r)
	}
	for _, to := range k.out {
		k.put(to[keyOf(r.ID)%len(to)], item{record: &r})
	}
}

func (k *task) put(c *channel, x item) {
	c.items = append(c.items, x)
	if c.consumer != nil {
		c.consumer.plan()
	}
}

func (k *task) putAll(x item) {
	for _, to := range k.out {
		for _, c := range to {
			k.put(c, x)
		}
	}
}

// endInput passes the end of all input on.
func (k *task) endInput() {
	k.ended = true
	k.putAll(item{end: true})
}

// finish ends the task if it has nothing to wait for, and says if that is only the commit of its output.
func (k *task) finish() {
	if k.dead || !k.ended || k.writing > 0 {
		return
	}
	if len(k.pending)+len(k.kept) == 0 {
		k.end(weirpb.TaskState_TASK_STATE_FINISHED, "")
		return
	}
	if !k.told {
		k.told = true
		k.report(func() { k.tm.executor.InputsEnded(k.attempt) })
	}
}

// end reports the end of the task.
func (k *task) end(state weirpb.TaskState, text string) {
	if k.dead {
		return
	}
	kind := weirpb.FailureKind_FAILURE_KIND_UNSPECIFIED
	if state == weirpb.TaskState_TASK_STATE_FAILED {
		kind = weirpb.FailureKind_FAILURE_KIND_USER
		k.s.seen["task failed"]++
	}
	tm := k.tm
	k.s.w.trace("%s: attempt %x of %s ends as %v", tm.id, k.attempt, k.vertex.Name, state)
	finished := state == weirpb.TaskState_TASK_STATE_FINISHED
	k.report(func() { tm.executor.Changed(k.attempt, state, text, kind, k.s.w.now) })
	delete(tm.tasks, k.attempt)
	if finished {
		k.dead, k.finished = true, true
		return
	}
	k.die(errLost)
}

// die ends the task at once; its consumers find out, if it had not ended its output.
func (k *task) die(err error) {
	k.dead = true
	if err == nil || k.ended {
		return
	}
	for _, to := range k.out {
		for _, c := range to {
			c.lost = true
			if c.consumer != nil {
				c.consumer.plan()
			}
		}
	}
}

// trigger takes the trigger of a checkpoint.
func (k *task) trigger(a executorcore.Trigger) {
	b := element.CheckpointBarrier{ID: a.Checkpoint, Flags: a.Flags}
	if k.ledger != nil {
		k.do(k.ledger.Trigger(splits.Trigger{Barrier: b, Number: a.Number}))
		return
	}
	k.decide(-1, k.aligner.Trigger(b, k.s.w.now))
}

func (k *task) assign(a executorcore.Assign) {
	if k.ledger != nil {
		k.do(k.ledger.Assign(splits.Assignment{Number: a.Number, Splits: a.Splits, NoMore: a.NoMore}))
	}
}

// do does what the ledger says.
func (k *task) do(steps []splits.Step) {
	for _, st := range steps {
		switch st.Kind {
		case splits.Apply:
			k.asked = false
			k.state.NoMore = k.state.NoMore || st.Assignment.NoMore
			if len(st.Assignment.Splits) > 0 {
				var got []split
				if err := json.Unmarshal(st.Assignment.Splits, &got); err != nil {
					k.s.w.fail("splits: %v", err)
				}
				k.state.Splits = append(k.state.Splits, got...)
			}
		case splits.Take:
			if st.Trigger.Barrier.Flags.Has(element.Terminal) && !k.ended {
				k.terminal = st.Trigger.Barrier.ID
			}
			k.take(st.Trigger.Barrier)
		case splits.Decline:
			k.decline(st.Trigger.Barrier.ID, st.Reason.Error())
		case splits.Ask:
			k.report(func() { k.tm.executor.MissingAssignments(k.attempt, st.From) })
		}
	}
}

// decide does what the aligner says.
func (k *task) decide(channel int, d alignment.Decision) {
	for _, id := range d.Canceled {
		k.decline(id, "passed by")
	}
	if d.Unblock {
		for _, c := range k.in {
			c.blocked = false
		}
	}
	if d.Block {
		k.in[channel].blocked = true
	}
	for _, c := range d.Complete {
		k.take(c.Barrier)
	}
}

func (k *task) decline(id int64, reason string) {
	k.report(func() { k.tm.executor.Declined(k.attempt, id, reason) })
}

// take takes a checkpoint: what came before belongs to it, what comes later does not.
func (k *task) take(b element.CheckpointBarrier) {
	m := &weirpb.AcknowledgeCheckpoint{Checkpoint: b.ID, Attempt: k.attempt}
	if k.sink {
		if len(k.pending) > 0 {
			k.kept = append(k.kept, committable{fmt.Sprintf("%x/%d", k.attempt, b.ID), b.ID, k.pending})
			k.pending = nil
		}
		if len(k.kept) > 0 {
			data, _ := json.Marshal(k.kept) // of plain structs
			m.Prepared = []*weirpb.Prepared{{Operator: graph.OperatorIDOf("out"), Committables: data}}
		}
	}
	for _, n := range k.vertex.Nodes {
		if n.Source == nil && n.UID != "count" {
			continue
		}
		data, _ := json.Marshal(snapshotState{k.state.Splits, k.state.NoMore, maps.Clone(k.state.Counts)})
		m.State = checkpoint.EncodeTaskState([]checkpoint.OperatorState{{
			Operator: checkpoint.OperatorID(n.OperatorID),
			State: checkpoint.StateHandle{
				Segments: []checkpoint.Segment{{Checkpoint: b.ID, Inline: data, Size: int64(len(data)), Bytes: int64(len(data))}},
				States:   []checkpoint.State{{Name: "s", Kind: statebackend.List, Segments: []int{0}}},
			},
		}})
		break
	}
	if !k.ended {
		k.putAll(item{barrier: &b})
	}
	k.writing++
	k.s.w.after(k.s.w.delay(40*time.Millisecond), func() {
		if k.dead {
			return
		}
		k.writing--
		if k.s.w.faulty(k.s.w.faults.storeFails) {
			k.decline(b.ID, "state not written")
		} else {
			k.report(func() { k.tm.executor.Acknowledged(m) })
		}
		k.finish()
	})
}

// outcome takes what became of a checkpoint.
func (k *task) outcome(o executorcore.Outcome) {
	switch o.Kind {
	case executorcore.Completed:
	case executorcore.Committed:
		k.kept = slices.DeleteFunc(k.kept, func(c committable) bool { return c.Checkpoint <= o.Checkpoint })
		switch {
		case k.terminal == 0 || o.Checkpoint < k.terminal:
		case o.Checkpoint == k.terminal:
			k.terminal = 0
			k.endInput()
		default:
			k.terminal = 0
		}
	case executorcore.Decided:
		k.decide(-1, k.aligner.AbortBelow(o.Checkpoint))
		if k.ledger != nil {
			k.do(k.ledger.AbortBelow(o.Checkpoint))
		}
		if k.terminal < o.Checkpoint {
			k.terminal = 0
		}
	case executorcore.Aborted:
		k.s.seen["checkpoint aborted"]++
		k.decide(-1, k.aligner.Abort(o.Checkpoint))
		if k.ledger != nil {
			k.do(k.ledger.Abort(o.Checkpoint))
		}
		if k.terminal == o.Checkpoint {
			k.terminal = 0
		}
	}
}
