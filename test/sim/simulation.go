// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/coordinator"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
	rmcore "github.com/weir-stream/weir/internal/jobmanager/resourcemanager/core"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
	"github.com/weir-stream/weir/internal/statebackend"
)

const rmName = "rm"

// shape is the job and the cluster of a run.
type shape struct {
	// vertices: 1 chains all steps, so that each subtask is a region of its own; 2 and 3 have edges each to each.
	vertices, parallelism, taskManagers, slots int
	splits, records                            int
}

// simulation is one run.
type simulation struct {
	w       *world
	shape   shape
	jobID   string
	graph   *graph.JobGraph
	run     *storage.Run
	masters []*jobMaster
	workers []*taskManager
	rm      *rmcore.SlotManager
	// rmStarts counts the leaders of which the ResourceManager was a part: their epochs.
	rmStarts int64
	channels map[channelID]*channel
	tasks    []*task
	attempts map[int64]bool
	// complete are checkpoints that were claimed; metadata those of which it was stored; committed the output.
	complete, metadata map[int64]bool
	committed          map[string][]record
	result             string
	// owner is the epoch of the JobMaster that took an attempt of another over.
	owner map[int64]int64
	// whole tells that all tasks ran at once.
	whole bool
	// reconcile is how long a JobMaster looks for the tasks of the one before.
	reconcile time.Duration
	// seen counts happenings.
	seen map[string]int
}

// happenings are what must happen now and then, for the runs to prove something.
var happenings = []string{
	"TaskManager crashed", "JobMaster crashed", "JobMaster stopped", "JobMaster deposed", "JobMaster suspended",
	"ResourceManager restarted", "task failed", "store failed", "checkpoint complete", "checkpoint aborted", "restored",
	"splits given back", "commit repeated", "executor crashed", "connection lost", "leader changed", "TaskManager cut off", "region adopted",
	"region restarted by a takeover", "splits left with their reader", "search for tasks ended early",
}

// newSimulation makes the world of a seed.
func newSimulation(seed uint64) (*simulation, error) {
	w := newWorld(seed)
	r := w.random
	s := &simulation{
		w: w, jobID: "job", channels: map[channelID]*channel{}, attempts: map[int64]bool{},
		complete: map[int64]bool{}, metadata: map[int64]bool{}, committed: map[string][]record{},
		seen: map[string]int{}, owner: map[int64]int64{},
	}
	w.faults = faults{
		lose: r.Float64() * 0.1, double: r.Float64() * 0.1, slow: time.Duration(1+r.IntN(60)) * time.Millisecond,
		storeFails: r.Float64() * 0.1, commitFails: r.Float64() * 0.3, taskFails: r.Float64() * 0.01,
		enumeratorFails: r.Float64() * 0.1, crashEvery: time.Duration(300+r.IntN(3000)) * time.Millisecond,
	}
	if seed%10 == 0 { // a calm world, where nothing hides behind failures
		w.faults = faults{slow: 2 * time.Millisecond, crashEvery: time.Hour}
	}
	switch {
	case seed%5 == 1: // tasks have nothing to fear: whatever happens, they go on
		w.faults.lose, w.faults.taskFails, w.faults.enumeratorFails, w.faults.leadersOnly = w.faults.lose/5, 0, 0, true
		s.reconcile = 1500 * time.Millisecond
	case r.IntN(8) > 0:
		s.reconcile = time.Duration(100+r.IntN(1500)) * time.Millisecond
	}
	p := 1 + r.IntN(3)
	s.shape = shape{
		vertices: 1 + r.IntN(3), parallelism: p, splits: 3 + r.IntN(8), records: 3 + r.IntN(12),
		taskManagers: 1 + r.IntN(3),
	}
	s.shape.slots = (p+s.shape.taskManagers-1)/s.shape.taskManagers + r.IntN(2)
	if err := s.build(); err != nil {
		return nil, err
	}
	var err error
	s.run, err = storage.NewStore(storage.Memory()).NewRun(context.Background(), storage.RunInfo{JobID: s.jobID})
	return s, err
}

// build describes the job: records are read, counted by key, and kept by an exactly-once sink.
func (s *simulation) build() error {
	r := s.w.random
	sg := &graph.StreamGraph{
		Name: "sim", MaxParallelism: 128,
		Checkpoints: graph.Checkpoints{
			Interval: time.Duration(50+r.IntN(400)) * time.Millisecond, Timeout: 2 * time.Second,
			Concurrent: 1 + r.IntN(2), Retained: 1 + r.IntN(2), TolerableFailures: 1 << 30,
		},
		Restart: graph.Restart{Delay: 50 * time.Millisecond, DelayMax: 500 * time.Millisecond},
	}
	spec := []statebackend.Spec{{Name: "s", Kind: statebackend.List}}
	add := func(n *graph.StreamNode, p exchange.Partitioning) {
		n.ID = len(sg.Nodes)
		n.Name, n.Parallelism, n.MaxParallelism = n.UID, s.shape.parallelism, 128
		sg.Nodes = append(sg.Nodes, n)
		if n.ID > 0 {
			n.Inputs = 1
			sg.Edges = append(sg.Edges, &graph.StreamEdge{From: n.ID - 1, To: n.ID, Partitioning: p})
		}
	}
	add(&graph.StreamNode{UID: "in", Verb: "From", States: spec, Source: &graph.SourceSpec{Bounded: true}}, 0)
	if s.shape.vertices > 1 {
		add(&graph.StreamNode{UID: "count", Verb: "Reduce", States: spec}, exchange.Hash)
	}
	out := &graph.StreamNode{UID: "out", Verb: "To", Sink: &graph.SinkSpec{}}
	if s.shape.vertices == 3 {
		out.Chaining = graph.ChainNever
	}
	add(out, exchange.Forward)
	var err error
	s.graph, err = graph.Build(sg, graph.Options{Parallelism: 1})
	return err
}

func (s *simulation) allSplits() []split {
	var all []split
	for i := range s.shape.splits {
		all = append(all, split{i, i * s.shape.records, (i + 1) * s.shape.records})
	}
	return all
}

func (s *simulation) channel(id channelID) *channel {
	c := s.channels[id]
	if c == nil {
		c = &channel{}
		s.channels[id] = c
	}
	return c
}

// startJobMaster makes the next JobMaster: it takes the run over, as a process with `--restore latest` does.
func (s *simulation) startJobMaster() {
	if s.result != "" {
		return
	}
	ctx := context.Background()
	again := func(err error) {
		s.w.trace("take-over: %v", err)
		s.w.after(100*time.Millisecond, s.startJobMaster)
	}
	leader, err := s.run.Acquire(ctx, "sim")
	if err != nil || s.w.faulty(s.w.faults.storeFails) {
		again(errors.Join(err, errFault))
		return
	}
	takeover, err := leader.TakeOver(ctx)
	if err != nil {
		again(err)
		return
	}
	former, known, err := leader.TakeOverHosts(ctx)
	if err != nil {
		again(err)
		return
	}
	if s.w.faults.leadersOnly { // who is deposed and does not know may still cancel tasks that its successor has not reached
		for _, j := range s.masters {
			j.die()
		}
	}
	name := fmt.Sprintf("jm-%d", leader.Epoch())
	j := &jobMaster{s: s, name: name, leader: leader, enumerators: map[int]*enumerator{}, began: s.w.now}
	var retained []coordinator.Retained
	var newest int64
	for _, id := range takeover.Complete {
		newest = id
		s.complete[id] = true
		retained = append(retained, coordinator.Retained{ID: id})
	}
	j.core = core.NewMaster(core.Config{
		JobID: s.jobID, Epoch: leader.Epoch(), Name: name, ResourceManager: rmName, Graph: s.graph,
		IDs:      coordinator.IDsReserved{First: takeover.IDs.First, Count: takeover.IDs.Count},
		Retained: retained, Heartbeat: heartbeat, HeartbeatTimeout: heartbeatTimeout,
		SlotTimeout: time.Minute, CancelTimeout: 20 * time.Second, ReconcileTimeout: s.reconcile, Newest: newest,
		Former: hostsOf[core.Host](former), FormerKnown: known,
	}, s.w.now)
	s.masters = append(s.masters, j)
	s.w.endpoints[name] = j.receive
	s.w.trace("%s starts", name)
	j.event(j.core.Start)
	j.renew()
}

// isAlive reports whether a TaskManager of that name runs.
func (s *simulation) isAlive(id string) bool {
	return slices.ContainsFunc(s.workers, func(t *taskManager) bool { return t.id == id && t.alive })
}

func (s *simulation) leader() *jobMaster {
	if len(s.masters) == 0 {
		return nil
	}
	return s.masters[len(s.masters)-1]
}

// startResourceManager makes one that knows nothing.
func (s *simulation) startResourceManager() {
	s.rmStarts++
	start := s.rmStarts
	s.rm = rmcore.NewSlotManager(rmcore.Config{
		Incarnation: "rm", Epoch: start, Heartbeat: heartbeat, HeartbeatTimeout: heartbeatTimeout,
	}, s.w.now)
	sequence := int64(0)
	perform := func() {
		for _, a := range s.rm.Take() {
			sequence++
			a.Message.Sequence = sequence
			s.w.send(rmName, a.To, a.Message)
		}
	}
	s.w.endpoints[rmName] = func(e *weirpb.Envelope) {
		s.rm.Receive(e, s.w.now)
		perform()
	}
	var tick func()
	tick = func() {
		if s.rmStarts != start {
			return
		}
		s.rm.Tick(s.w.now)
		s.rm.Ended(slices.DeleteFunc(s.rm.Sought(), s.isAlive)) // as its provider would know
		perform()
		s.w.after(max(time.Millisecond, s.rm.Next().Sub(s.w.now)), tick)
	}
	tick()
}

// mischief crashes or stops something from time to time.
func (s *simulation) mischief() {
	s.w.after(s.w.delay(2*s.w.faults.crashEvery), func() {
		if s.w.elapsed() >= faultsEnd {
			return
		}
		s.strike()
		s.mischief()
	})
}

func (s *simulation) strike() {
	w := s.w
	j := s.leader()
	kind := w.random.IntN(9)
	if w.faults.leadersOnly {
		kind = []int{2, 2, 3, 4, 6, 7}[w.random.IntN(6)]
	}
	switch kind {
	case 0, 1, 8:
		s.strikeTaskManager(s.workers[w.random.IntN(len(s.workers))])
	case 2:
		s.crashJobMaster(j)
	case 7: // the whole JobManager
		w.trace("another JobManager leads")
		s.seen["leader changed"]++
		s.crashJobMaster(j)
		delete(w.endpoints, rmName)
		s.rmStarts++
		w.after(w.delay(500*time.Millisecond), s.startResourceManager)
	case 3:
		if j != nil && !j.dead && !j.stopped {
			w.trace("%s is stopped", j.name)
			s.seen["JobMaster stopped"]++
			j.stopped = true
			w.after(w.delay(1500*time.Millisecond), func() {
				if w.random.IntN(3) > 0 {
					s.startJobMaster() // else it wakes as if nothing had happened, and leads still
				}
				w.after(w.delay(2*time.Second), func() { s.wake(j) })
			})
		}
	case 4:
		w.trace("the ResourceManager starts anew")
		s.seen["ResourceManager restarted"]++
		s.startResourceManager()
	case 5:
		if j != nil {
			j.do(func() {
				w.trace("%s: suspend", j.name)
				j.event(j.core.Suspend)
			})
		}
	case 6:
		if j != nil {
			j.do(func() {
				j.event(func(now time.Time) {
					j.core.Request(coordinator.Request{Number: 1, Kind: checkpoint.Savepoint, Dir: "/s"}, now)
				})
			})
		}
	}
}

func (s *simulation) crashJobMaster(j *jobMaster) {
	if j == nil || j.dead {
		return
	}
	s.w.trace("%s crashes", j.name)
	s.seen["JobMaster crashed"]++
	j.die()
	s.w.after(s.w.delay(time.Second), s.startJobMaster)
}

// strikeTaskManager crashes one, or its executor alone, or cuts its connection for a moment.
func (s *simulation) strikeTaskManager(t *taskManager) {
	kind := s.w.random.IntN(5)
	switch {
	case !t.alive:
	case kind == 2: // it lives, and nobody hears of it
		s.seen["TaskManager cut off"]++
		s.w.trace("%s is cut off", t.id)
		s.w.cut[t.id] = s.w.now.Add(s.w.delay(4 * heartbeatTimeout))
	case kind == 0:
		s.connectionLost(t.id)
	case kind == 1 && t.process && t.executor != nil:
		t.crashExecutor()
	default:
		t.crash()
		s.w.after(s.w.delay(1500*time.Millisecond), func() { s.startTaskManager(t) })
	}
}

// connectionLost has those who lead told at once, now and then.
func (s *simulation) connectionLost(taskManager string) {
	if s.w.random.IntN(2) == 0 {
		return
	}
	s.seen["connection lost"]++
	s.w.trace("the connection of %s is lost", taskManager)
	lost := &weirpb.Envelope{Body: &weirpb.Envelope_PeerLost{PeerLost: &weirpb.PeerLost{Names: []string{taskManager}}}}
	s.w.send("router", rmName, proto.CloneOf(lost))
	if j := s.leader(); j != nil {
		s.w.send("router", j.name, lost)
	}
}

// wake lets a stopped JobMaster go on, with all that has waited for it.
func (s *simulation) wake(j *jobMaster) {
	if !j.stopped {
		return
	}
	s.w.trace("%s wakes", j.name)
	j.stopped = false
	backlog := j.backlog
	j.backlog = nil
	for _, f := range backlog {
		j.do(f)
	}
}

// commit makes a committable visible. It may be said again, but not with other content.
func (s *simulation) commit(c committable) {
	if before, ok := s.committed[c.ID]; ok {
		s.seen["commit repeated"]++
		if !slices.Equal(before, c.Records) {
			s.w.fail("committable %s was committed with other content", c.ID)
		}
	}
	s.committed[c.ID] = c.Records
}

// checkStart checks that an attempt is new and that no other of its subtask runs in the same epoch, but on TaskManagers
// that the JobMaster has given up.
func (s *simulation) checkStart(k *task) {
	if s.attempts[k.attempt] {
		s.w.fail("attempt %x started twice", k.attempt)
	}
	s.attempts[k.attempt] = true
	if s.w.faults.leadersOnly && s.whole {
		s.w.fail("attempt %x starts though all tasks were running and only leaders failed", k.attempt)
	}
	s.tasks = slices.DeleteFunc(s.tasks, func(o *task) bool { return o.dead && !o.finished })
	for _, o := range s.tasks {
		if o.dead || o.vertex != k.vertex || o.index != k.index || max(o.attempt>>32, s.owner[o.attempt]) != k.attempt>>32 {
			continue
		}
		for _, j := range s.masters {
			if j.leader.Epoch() == k.attempt>>32 && !slices.Contains(j.lost, o.tm.id) {
				s.w.fail("attempts %x and %x of one subtask run at once", o.attempt, k.attempt)
			}
		}
	}
}

// noteWhole sees whether all tasks run or have finished, by the newest attempt of each.
func (s *simulation) noteWhole() {
	newest := map[[2]int]*task{}
	for _, k := range s.tasks {
		if at := [2]int{k.vertex.Index, k.index}; newest[at] == nil || newest[at].attempt < k.attempt {
			newest[at] = k
		}
	}
	n := 0
	for _, v := range s.graph.Vertices {
		n += v.Parallelism
	}
	for _, k := range newest {
		if k.running && (!k.dead || k.finished) {
			n--
		}
	}
	s.whole = s.whole || n == 0
}

// checkSlots checks that a slot has one owner: no allocation is in two places.
func (s *simulation) checkSlots() {
	seen := map[string]string{}
	for _, t := range s.workers {
		if !t.alive {
			continue
		}
		for _, x := range t.slots.Slots() {
			if x.Allocation == "" {
				continue
			}
			if other, taken := seen[x.Allocation]; taken {
				s.w.fail("allocation %s is on %s and %s", x.Allocation, other, t.id)
			}
			seen[x.Allocation] = t.id
		}
	}
}

// checkOutput compares what was committed with the input.
func (s *simulation) checkOutput() error {
	want := s.shape.splits * s.shape.records
	seen := map[int]int{}
	counts := map[int][]int{}
	for _, rs := range s.committed {
		for _, r := range rs {
			seen[r.ID]++
			counts[keyOf(r.ID)] = append(counts[keyOf(r.ID)], r.Count)
		}
	}
	for id := range want {
		if seen[id] != 1 {
			return fmt.Errorf("record %d of %d was committed %d times", id, want, seen[id])
		}
	}
	if len(seen) != want {
		return fmt.Errorf("%d records committed, want %d", len(seen), want)
	}
	if s.shape.vertices == 1 {
		return nil
	}
	for _, key := range sortedKeys(counts) {
		slices.Sort(counts[key])
		for i, n := range counts[key] {
			if n != i+1 {
				return fmt.Errorf("key %d was counted %v: state and output differ", key, counts[key])
			}
		}
	}
	return nil
}

// play runs the simulation to its end.
func (s *simulation) play() error {
	s.startResourceManager()
	for i := range s.shape.taskManagers {
		t := &taskManager{s: s, id: fmt.Sprintf("tm-%d", i), process: s.w.random.IntN(2) == 0}
		s.workers = append(s.workers, t)
		s.startTaskManager(t)
	}
	s.startJobMaster()
	s.mischief()
	for s.w.failed == nil && s.result == "" {
		if s.w.elapsed() > givenUp || s.w.steps > stepsMax {
			return fmt.Errorf("the job has not ended after %v and %d events: %+v", s.w.elapsed(), s.w.steps, s.leader().core.Details())
		}
		if !s.w.step() {
			return errors.New("nothing happens any more")
		}
		s.checkSlots()
	}
	if s.w.failed != nil {
		return s.w.failed
	}
	if s.result != "FINISHED " {
		return fmt.Errorf("the job ended as %s", s.result)
	}
	return s.checkOutput()
}

func sortedKeys[K int | int64, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
