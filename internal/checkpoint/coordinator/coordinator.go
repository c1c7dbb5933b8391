// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"errors"
	"fmt"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/graph"
)

// Config is what a Coordinator is made of.
type Config struct {
	JobID, JobName string
	Epoch          int64
	Fingerprint    uint64
	Vertices       []Vertex
	// Settings say when checkpoints are taken; the zero value takes none but on request and at the end of the job.
	Settings graph.Checkpoints
	// IDs are the first block, as the take-over of the store reserved it.
	IDs IDsReserved
	// Retained are the complete checkpoints that the store holds, oldest first.
	Retained []Retained
	// Past is the metadata of the newest of them that can be read, for the statistics; nil if there is none.
	Past *checkpoint.Metadata
}

// Delays between attempts: of requests to the store and of commits, doubled up to the limit; and of a final checkpoint
// that failed.
const (
	retryMin   = 100 * time.Millisecond
	retryMax   = 10 * time.Second
	finalRetry = time.Second
)

// Coordinator is the core. It belongs to one goroutine.
type Coordinator struct {
	c     Config
	tasks *tasks
	ids   ids
	files files
	// open are the checkpoints under way, ids ascending; requests wait for their turn.
	open     []*open
	requests []request
	commits  commits
	// nextTrigger is when the next periodic checkpoint is due, zero while not all tasks run; nextFinal the next attempt at
	// a final one. lastEnd is when the last checkpoint ended.
	nextTrigger, nextFinal, lastEnd time.Time
	// failures counts periodic checkpoints that failed in a row.
	failures int
	// full makes the next checkpoint build on none.
	full bool
	// latest is the newest complete checkpoint that recovery can use.
	latest int64
	// ending is the complete checkpoint after which nothing is triggered.
	ending  *EndJob
	ended   bool
	deposed bool
	stats   Stats
	actions []Action
}

// request is a Request with the time at which it is given up.
type request struct {
	Request
	deadline time.Time
}

// New makes a coordinator of a job none of whose tasks run.
func New(c Config) *Coordinator {
	c.Settings = c.Settings.WithDefaults()
	co := &Coordinator{c: c, tasks: newTasks(c.Vertices), commits: commits{committed: -1}}
	co.ids = ids{next: c.IDs.First, left: c.IDs.Count, first: c.IDs.First}
	co.files = newFiles(c.Retained)
	co.files.below = c.IDs.First
	co.stats.inherit(c.Past)
	if n := len(c.Retained); n > 0 {
		co.latest = c.Retained[n-1].ID
	}
	return co
}

// Step takes an event at a time, which must not go back, and returns what is to be done.
func (c *Coordinator) Step(now time.Time, e Event) []Action {
	c.handle(now, e)
	c.advance(now)
	actions := c.actions
	c.actions = nil
	return actions
}

func (c *Coordinator) do(a Action) { c.actions = append(c.actions, a) }

func (c *Coordinator) handle(now time.Time, e Event) {
	switch e := e.(type) {
	case Tick:
	case TasksChanged:
		c.tasksChanged(now, e)
	case IDsReserved:
		c.ids.reserved(e)
	case IDsFailed:
		c.ids.failed(now)
	case EnumeratorsSnapshotted:
		c.enumeratorsSnapshotted(e)
	case EnumeratorsFailed:
		if o := c.find(e.ID, snapshotting); o != nil {
			c.abort(now, o, failure{reason: "snapshot of an enumerator: " + e.Err.Error(), counts: true})
		}
	case Ack:
		c.ack(now, e)
	case Decline:
		if o := c.find(e.ID, snapshotting, collecting); o != nil && o.waitsFor(e.Task, e.Attempt) {
			c.abort(now, o, failure{reason: fmt.Sprintf("declined by subtask %d of vertex %d: %s", e.Task.Subtask, e.Task.Vertex, e.Reason), counts: true})
		}
	case MetadataWritten:
		if o := c.find(e.ID, writing); o != nil {
			o.phase = claiming
			c.do(Claim{ID: o.id, Kind: o.kind})
		}
	case MetadataFailed:
		if o := c.find(e.ID, writing); o != nil {
			c.abort(now, o, failure{reason: "write metadata: " + e.Err.Error(), counts: true})
		}
	case Claimed:
		if o := c.find(e.ID, claiming); o != nil {
			c.complete(now, o)
		}
	case ClaimLost:
		if o := c.find(e.ID, claiming); o != nil {
			c.deposed = true
			c.abort(now, o, failure{reason: "decided by " + e.By})
			c.abortAll(now, "deposed: "+e.By)
			c.do(Deposed{By: e.By})
		}
	case ClaimFailed:
		if o := c.find(e.ID, claiming); o != nil {
			o.retryAt = now.Add(o.claims.next())
		}
	case Committed:
		c.committed(now, e.ID)
	case CommitFailed:
		c.commitFailed(now, e)
	case Request:
		c.request(now, e)
	case Abort:
		c.abortAll(now, e.Reason)
	case Restored:
		c.restored(now, e)
	case JobEnded:
		c.jobEnded(e)
	default:
		panic(fmt.Sprintf("unknown event %T", e))
	}
}

// advance does what is due.
func (c *Coordinator) advance(now time.Time) {
	if c.deposed || c.ended {
		return
	}
	for _, o := range c.open {
		if o.phase == claiming && !o.retryAt.IsZero() && !now.Before(o.retryAt) {
			o.retryAt = time.Time{}
			c.do(Claim{ID: o.id, Kind: o.kind})
		}
	}
	for i := 0; i < len(c.open); {
		if o := c.open[i]; o.phase < claiming && !now.Before(o.deadline) {
			c.abort(now, o, failure{reason: fmt.Sprintf("not complete after %v: %s", c.c.Settings.Timeout, o.progress()), counts: true})
			continue
		}
		i++
	}
	c.store(now)
	c.advanceCommits(now)
	c.expireRequests(now)
	for c.triggerNext(now) {
	}
	if c.ids.wanted(now) {
		// Whatever was dropped or aborted so far: the next leader needs not look at it.
		if below := c.decidedBelow(); below > c.files.below {
			c.delete()
		}
		c.ids.asked = true
		c.do(ReserveIDs{})
	}
}

// triggerNext triggers the checkpoint that is due, if any.
func (c *Coordinator) triggerNext(now time.Time) bool {
	if c.ending != nil || c.deposed || !c.tasks.ready() || len(c.open) >= c.c.Settings.Concurrent || c.stopping() {
		return false
	}
	switch {
	case len(c.requests) > 0:
		r := c.requests[0]
		if c.ids.left == 0 {
			return false
		}
		c.requests = c.requests[1:]
		c.trigger(now, r.Kind, &r)
	case c.tasks.sourcesRead():
		// While tasks still work off what the sources have sent, a barrier would only come behind all of it.
		if c.tasks.counts[Running] > 0 || now.Before(c.nextFinal) || c.ids.left == 0 {
			return false
		}
		c.trigger(now, checkpoint.Final, nil)
	default:
		if at := c.periodicAt(); at.IsZero() || now.Before(at) || c.ids.left == 0 {
			return false
		}
		c.nextTrigger = c.nextTrigger.Add(c.c.Settings.Interval)
		if !c.nextTrigger.After(now) {
			c.nextTrigger = now.Add(c.c.Settings.Interval)
		}
		c.trigger(now, checkpoint.Periodic, nil)
	}
	return true
}

// periodicAt is when the next periodic trigger is due, zero for never.
func (c *Coordinator) periodicAt() time.Time {
	if c.c.Settings.Interval == 0 || c.nextTrigger.IsZero() {
		return time.Time{}
	}
	at := c.nextTrigger
	if p := c.lastEnd.Add(c.c.Settings.MinPause); !c.lastEnd.IsZero() && c.c.Settings.MinPause > 0 && p.After(at) {
		at = p
	}
	return at
}

// stopping reports whether a checkpoint is open after which the job is to end: nothing is triggered beside it.
func (c *Coordinator) stopping() bool {
	for _, o := range c.open {
		if o.kind != checkpoint.Periodic && o.kind != checkpoint.Savepoint {
			return true
		}
	}
	return false
}

// Deadline is when a Tick is due if nothing happens before; zero for never.
func (c *Coordinator) Deadline() time.Time {
	var at time.Time
	add := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if c.deposed || c.ended {
		return at
	}
	for _, o := range c.open {
		if o.phase < claiming {
			add(o.deadline)
		}
		add(o.retryAt)
	}
	for _, r := range c.requests {
		add(r.deadline)
	}
	add(c.commits.retryAt)
	add(c.ids.deadline())
	if c.ending == nil && c.ids.left > 0 && c.tasks.ready() && len(c.open) < c.c.Settings.Concurrent && !c.stopping() {
		if !c.tasks.sourcesRead() {
			add(c.periodicAt())
		} else if c.tasks.counts[Running] == 0 {
			add(c.nextFinal)
		}
	}
	return at
}

// Settled reports whether no checkpoint is being stored or claimed: what the store holds is what recovery will find.
func (c *Coordinator) Settled() bool {
	for _, o := range c.open {
		if o.phase >= acked {
			return false
		}
	}
	return true
}

// Latest is the newest complete checkpoint that recovery can use, 0 if there is none.
func (c *Coordinator) Latest() int64 { return c.latest }

// Committed is the newest checkpoint whose output is committed: -1 before any, 0 for one of another run.
func (c *Coordinator) Committed() int64 { return c.commits.committed }

func (c *Coordinator) tasksChanged(now time.Time, e TasksChanged) {
	wasReady := c.tasks.ready()
	for _, t := range e.Tasks {
		if !c.tasks.set(t) {
			continue
		}
		for i := 0; i < len(c.open); {
			o := c.open[i]
			if o.phase > collecting || !o.concerns(t) {
				i++
				continue
			}
			f := failure{reason: "a task failed or was replaced"}
			if t.State >= Ended {
				f = failure{reason: "a task ended before it took part", again: true}
			}
			c.abort(now, o, f)
		}
	}
	switch {
	case !c.tasks.ready():
		c.nextTrigger = time.Time{}
	case !wasReady:
		c.nextTrigger = now.Add(c.c.Settings.Interval)
	}
}

// request queues a Request, or refuses it.
func (c *Coordinator) request(now time.Time, r Request) {
	refuse := func(text string) { c.do(Reply{Number: r.Number, Err: errors.New(text)}) }
	last := r.Kind == checkpoint.Terminal || r.Kind == checkpoint.Suspend
	switch {
	case !last && r.Kind != checkpoint.Periodic && r.Kind != checkpoint.Savepoint:
		refuse(fmt.Sprintf("a %v can't be asked for", r.Kind))
	case c.deposed || c.ended:
		refuse("this JobMaster has ended")
	case c.ending != nil:
		refuse("the job is ending")
	case last && c.stopRequested():
		refuse("the job is being stopped already")
	default:
		c.requests = append(c.requests, request{r, now.Add(c.c.Settings.Timeout)})
	}
}

func (c *Coordinator) stopRequested() bool {
	for _, r := range c.requests {
		if r.Kind == checkpoint.Terminal || r.Kind == checkpoint.Suspend {
			return true
		}
	}
	return c.stopping()
}

func (c *Coordinator) expireRequests(now time.Time) {
	kept := c.requests[:0]
	for _, r := range c.requests {
		if now.Before(r.deadline) {
			kept = append(kept, r)
			continue
		}
		c.do(Reply{Number: r.Number, Err: fmt.Errorf("not begun after %v", c.c.Settings.Timeout)})
	}
	c.requests = kept
}

func (c *Coordinator) abortAll(now time.Time, reason string) {
	for i := 0; i < len(c.open); {
		if o := c.open[i]; o.phase <= collecting {
			c.abort(now, o, failure{reason: reason})
			continue
		}
		i++
	}
	for _, r := range c.requests {
		c.do(Reply{Number: r.Number, Err: errors.New(reason)})
	}
	c.requests = nil
}

func (c *Coordinator) restored(now time.Time, e Restored) {
	m := e.Metadata
	id := m.ID
	if e.Foreign {
		id = 0
		c.full = true
	} else {
		c.latest = id
		if m.Kind.EndsJob() {
			c.ending = &EndJob{ID: id, Kind: m.Kind}
		}
	}
	c.stats.restored(id, e, now)
	if id > c.commits.committed {
		c.commits.add(Commit{ID: id, Metadata: m})
	} else if c.ending != nil && c.ending.ID == id {
		c.do(*c.ending)
	}
}

func (c *Coordinator) jobEnded(e JobEnded) {
	if c.ended {
		return
	}
	c.ended = true
	for _, r := range c.requests {
		c.do(Reply{Number: r.Number, Err: errors.New("the job has ended")})
	}
	c.requests = nil
	if !e.Keep && len(c.open) == 0 {
		c.files.drop(0, 0)
		c.delete()
	}
}
