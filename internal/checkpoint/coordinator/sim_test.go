// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/graph"
)

// world is all that a coordinator talks to, with a mind of its own: answers come late, in any order, twice or as errors,
// tasks fail and miss notices. It checks what the coordinator asks for.
type world struct {
	t        *testing.T
	seed     uint64
	rng      *rand.Rand
	c        *Coordinator
	now      time.Time
	settings graph.Checkpoints
	// mail holds events on their way.
	mail []Event
	// calm ends all faults.
	calm    bool
	attempt int64
	tasks   map[graph.SubtaskID]*simTask
	order   []graph.SubtaskID

	open      map[int64]bool // triggered, not decided
	claimed   map[int64]bool
	meta      map[int64]*checkpoint.Metadata // what was asked to be written
	stored    map[int64]*checkpoint.Metadata // complete and not deleted
	files     map[string]bool
	lastID    int64
	nextBlock int64
	below     int64
	committed int64
	replies   map[int64]int
	asked     int64
	ended     bool
}

// simTask is a task whose state is a chain of files.
type simTask struct {
	attempt int64
	running bool
	chain   []checkpoint.Segment           // of the newest complete checkpoint it knows
	pending map[int64][]checkpoint.Segment // of those it took part in
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 3)), now: time.Unix(0, 0), nextBlock: 17, committed: -1,
		tasks: map[graph.SubtaskID]*simTask{}, open: map[int64]bool{}, claimed: map[int64]bool{},
		meta: map[int64]*checkpoint.Metadata{}, stored: map[int64]*checkpoint.Metadata{}, files: map[string]bool{}, replies: map[int64]int{},
	}
	w.settings = graph.Checkpoints{
		Interval: time.Second, Timeout: 8 * time.Second, Concurrent: 1 + w.rng.IntN(3), Retained: 1 + w.rng.IntN(2),
		TolerableFailures: w.rng.IntN(3), MinPause: time.Duration(w.rng.IntN(2)) * time.Second,
	}
	vertices := []Vertex{
		{Parallelism: 2, MaxParallelism: 8, Operators: []Operator{{ID: "src", Source: true}}},
		{Parallelism: 2, MaxParallelism: 8, Operators: []Operator{{ID: "op"}}, Inputs: []Input{{0, true}}},
	}
	for v := range vertices {
		for s := range 2 {
			id := graph.SubtaskID{Vertex: v, Subtask: s}
			w.order = append(w.order, id)
			w.tasks[id] = &simTask{}
		}
	}
	w.c = New(Config{JobID: "job", Epoch: 1, Vertices: vertices, Settings: w.settings, IDs: IDsReserved{1, 16}})
	return w
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("seed %d, %v: %s", w.seed, w.now.Sub(time.Unix(0, 0)), fmt.Sprintf(format, args...))
}

func (w *world) send(e Event) {
	w.mail = append(w.mail, e)
	if !w.calm && w.rng.IntN(12) == 0 {
		w.mail = append(w.mail, e)
	}
}

// odd is true once in n times, while there are faults.
func (w *world) odd(n int) bool { return !w.calm && w.rng.IntN(n) == 0 }

func (w *world) step(e Event) {
	for _, a := range w.c.Step(w.now, e) {
		w.act(a)
	}
	if len(w.open) > w.settings.Concurrent {
		w.fail("%d checkpoints are open, %d may be", len(w.open), w.settings.Concurrent)
	}
}

func (w *world) act(a Action) {
	switch a := a.(type) {
	case ReserveIDs:
		if w.odd(3) {
			w.send(IDsFailed{errors.New("x")})
			return
		}
		w.send(IDsReserved{w.nextBlock, 16})
		w.nextBlock += 16
	case SnapshotEnumerators:
		w.triggered(a.ID)
		if w.odd(20) {
			w.send(EnumeratorsFailed{a.ID, errors.New("x")})
			return
		}
		w.send(EnumeratorsSnapshotted{a.ID, []EnumeratorState{{Operator: "src", Enumerator: checkpoint.Enumerator{Assigned: []int64{a.ID, a.ID}}}}})
	case Trigger:
		w.trigger(a)
	case WriteMetadata:
		w.write(a)
	case Claim:
		w.claim(a)
	case NotifyCompleted:
		w.completed(a.ID)
	case NotifyAborted:
		w.decided(a.ID)
		if a.Savepoint != (w.claimed[a.ID] && w.meta[a.ID].Kind == checkpoint.Savepoint) {
			w.fail("checkpoint %d: aborted %+v after it was claimed", a.ID, a)
		}
	case Commit:
		if !w.claimed[a.ID] || a.ID <= w.committed {
			w.fail("commit of %d, claimed %v, committed %d", a.ID, w.claimed[a.ID], w.committed)
		}
		if w.odd(3) {
			w.send(CommitFailed{ID: a.ID, Err: errors.New("x")})
			return
		}
		w.send(Committed{a.ID})
	case NotifyCommitted:
		w.committed = a.ID
	case Delete:
		w.delete(a)
	case RemoveFiles:
		w.remove(a.Files)
	case Reply:
		w.replies[a.Number]++
	case FailJob:
		w.restart()
	case EndJob:
		if w.committed != a.ID {
			w.fail("the job ends with checkpoint %d, committed is %d", a.ID, w.committed)
		}
		w.ended = true
	case Deposed:
		w.fail("deposed by nobody")
	}
}

func (w *world) triggered(id int64) {
	if id <= w.lastID || id >= w.nextBlock {
		w.fail("id %d after %d, reserved below %d", id, w.lastID, w.nextBlock)
	}
	w.lastID = id
	w.open[id] = true
}

// trigger has all tasks take part, as barriers would.
func (w *world) trigger(a Trigger) {
	for _, id := range w.order {
		k := w.tasks[id]
		if !k.running || w.odd(30) {
			continue // it died meanwhile, or its answer is lost
		}
		if w.odd(30) {
			w.send(Decline{Task: id, Attempt: k.attempt, ID: a.ID, Reason: "x"})
			continue
		}
		seg := checkpoint.Segment{Checkpoint: a.ID, Path: fmt.Sprintf("%d-%d-%d", a.ID, id.Vertex, id.Subtask), Bytes: 1}
		var chain []checkpoint.Segment
		if !a.Flags.Has(element.Full) && !a.Flags.Has(element.Savepoint) && len(k.chain) < 4 {
			chain = slices.Clone(k.chain)
		}
		chain = append(chain, seg)
		k.pending[a.ID] = chain
		w.files[seg.Path] = true
		op := []checkpoint.OperatorID{"src", "op"}[id.Vertex]
		w.send(Ack{Task: id, Attempt: k.attempt, ID: a.ID, State: []checkpoint.OperatorState{{Operator: op, State: checkpoint.StateHandle{Segments: chain}}}})
	}
}

func (w *world) write(a WriteMetadata) {
	if !w.open[a.ID] {
		w.fail("metadata of checkpoint %d, which is not open", a.ID)
	}
	if err := a.Metadata.Validate(); err != nil {
		w.fail("metadata of %d: %v", a.ID, err)
	}
	a.Metadata.Handles(func(op *checkpoint.Operator, s int, h *checkpoint.StateHandle) {
		if len(h.Segments) == 0 && !op.Subtasks[s].Finished {
			w.fail("checkpoint %d lacks %s/%d", a.ID, op.ID, s)
		}
	})
	w.meta[a.ID] = a.Metadata
	if w.odd(15) {
		w.send(MetadataFailed{a.ID, errors.New("x")})
		return
	}
	w.send(MetadataWritten{ID: a.ID})
}

func (w *world) claim(a Claim) {
	if !w.open[a.ID] && !w.claimed[a.ID] {
		w.fail("claim of checkpoint %d, which is not open", a.ID)
	}
	// The claim may succeed and its answer be an error: the next one finds the marker.
	if !w.odd(4) {
		w.claimed[a.ID] = true
		if a.Kind.Recoverable() {
			w.stored[a.ID] = w.meta[a.ID]
			for _, f := range w.meta[a.ID].Files() {
				if !w.files[f] {
					w.fail("checkpoint %d was claimed without its file %s", a.ID, f)
				}
			}
		}
	}
	if !w.claimed[a.ID] || w.odd(4) {
		w.send(ClaimFailed{a.ID, errors.New("x")})
		return
	}
	w.send(Claimed{a.ID})
}

func (w *world) decided(id int64) {
	if !w.open[id] {
		w.fail("checkpoint %d is decided, but was not open", id)
	}
	delete(w.open, id)
}

func (w *world) completed(id int64) {
	if !w.claimed[id] {
		w.fail("checkpoint %d is complete without a claim", id)
	}
	w.decided(id)
	for _, k := range w.tasks {
		if chain, ok := k.pending[id]; ok && !w.odd(5) {
			k.chain = chain
		}
	}
}

func (w *world) delete(a Delete) {
	if a.Below < w.below {
		w.fail("decided-below from %d to %d", w.below, a.Below)
	}
	w.below = a.Below
	for id := range w.open {
		if id < a.Below {
			w.fail("decided below %d, but %d is open", a.Below, id)
		}
	}
	for _, id := range a.IDs {
		if id >= a.Below {
			w.fail("%d is deleted, decided is below %d", id, a.Below)
		}
		delete(w.stored, id)
	}
	for id := range w.stored {
		if id < a.Below && !slices.Contains(a.Complete, id) {
			w.fail("the record %+v denies checkpoint %d", a, id)
		}
	}
	w.remove(a.Files)
}

func (w *world) remove(files []string) {
	for id, m := range w.stored {
		for _, f := range m.Files() {
			if slices.Contains(files, f) {
				w.fail("file %s is removed, which checkpoint %d needs", f, id)
			}
		}
	}
	for _, f := range files {
		delete(w.files, f)
	}
}

// restart fails all tasks and has them start again from what is complete.
func (w *world) restart() {
	var gone, back TasksChanged
	for _, id := range w.order {
		k := w.tasks[id]
		gone.Tasks = append(gone.Tasks, TaskChange{id, k.attempt, Absent})
		w.attempt++
		*k = simTask{attempt: w.attempt, running: true, pending: map[int64][]checkpoint.Segment{}}
		back.Tasks = append(back.Tasks, TaskChange{id, k.attempt, Running})
	}
	w.mail = append(w.mail, gone, Abort{Reason: "restart"}, back)
}

// run lets the world go on for a number of moves.
func (w *world) run(moves int) {
	for range moves {
		if w.ended {
			return
		}
		switch {
		case w.odd(150):
			w.restart()
		case w.odd(60):
			w.asked++
			kinds := []checkpoint.Kind{checkpoint.Periodic, checkpoint.Savepoint}
			w.step(Request{Number: w.asked, Kind: kinds[w.rng.IntN(2)], Dir: "/sp"})
		case len(w.mail) > 0 && (w.calm || w.rng.IntN(4) > 0):
			i := 0
			if _, ordered := w.mail[0].(TasksChanged); !ordered && w.rng.IntN(2) == 0 {
				i = w.rng.IntN(len(w.mail))
			}
			if _, ordered := w.mail[i].(TasksChanged); ordered {
				i = 0 // what tasks become comes in order
			}
			e := w.mail[i]
			w.mail = slices.Delete(w.mail, i, i+1)
			w.step(e)
		default:
			// Time passes to where the coordinator wants to be woken, so that a deadline it forgets shows.
			at := w.c.Deadline()
			if at.IsZero() {
				at = w.now.Add(time.Second)
			}
			if !w.calm && len(w.mail) > 0 {
				at = w.now.Add(time.Duration(w.rng.IntN(300)) * time.Millisecond)
			}
			if at.After(w.now) {
				w.now = at
			}
			w.step(Tick{})
			if at := w.c.Deadline(); !at.IsZero() && !at.After(w.now) {
				w.fail("a tick left a deadline in the past: %v", at)
			}
		}
	}
}

// TestRandomWorlds runs coordinators through random worlds; a seed repeats all of it.
func TestRandomWorlds(t *testing.T) {
	seeds := uint64(1000)
	if testing.Short() {
		seeds = 100
	}
	completed := 0
	for seed := range seeds {
		w := newWorld(t, seed)
		w.restart()
		w.run(600)
		// In quiet weather all that is open ends, and a stop succeeds.
		w.calm = true
		w.run(200)
		for range 3 { // what was lost before may fail the job once more
			if !w.ended {
				w.asked++
				w.step(Request{Number: w.asked, Kind: checkpoint.Terminal, Dir: "/sp"})
				w.run(200)
			}
		}
		if !w.ended {
			w.fail("the stop did not end: open %v, stats %+v", w.open, w.c.Stats().Counts)
		}
		if len(w.open) > 0 {
			w.fail("open at the end: %v", w.open)
		}
		for n := int64(1); n <= w.asked; n++ {
			if w.replies[n] != 1 {
				w.fail("request %d got %d replies", n, w.replies[n])
			}
		}
		completed += int(w.c.Stats().Counts.Completed)
	}
	if completed < int(seeds)*5 {
		t.Errorf("only %d checkpoints completed in %d worlds", completed, seeds)
	}
}
