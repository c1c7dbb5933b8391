// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Times of a run, virtual.
const (
	heartbeat        = 100 * time.Millisecond
	heartbeatTimeout = 500 * time.Millisecond
	// faultsEnd is when no fault is begun any more, and givenUp when the job must have ended.
	faultsEnd = 8 * time.Second
	givenUp   = 120 * time.Second
	// stepsMax bounds the events of a run: it is many times what one takes.
	stepsMax = 2_000_000
	// inFlightMax bounds the messages on their way.
	inFlightMax = 20000
)

var epochOfTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// faults are the probabilities of a run.
type faults struct {
	lose, double                                        float64
	slow                                                time.Duration // the longest delay of a message
	storeFails, commitFails, taskFails, enumeratorFails float64
	crashEvery                                          time.Duration // mean time between crashes, of TaskManagers and JobMasters
	// leadersOnly spares all but the JobMaster and the ResourceManager: no task may start again then.
	leadersOnly bool
}

// world is the virtual machine room.
type world struct {
	random *rand.Rand
	now    time.Time
	queue  events
	serial int64
	faults faults
	// endpoints take messages by name; a crashed one has none.
	endpoints map[string]func(*weirpb.Envelope)
	inFlight  int
	steps     int
	trace     func(format string, args ...any)
	failed    error
	// messages, if set, is called with each that arrives.
	messages func(*weirpb.Envelope)
	// cut are the endpoints that no message comes from or gets to, until a time.
	cut map[string]time.Time
}

// isCut reports whether an endpoint, that of an executor by its TaskManager, can't be reached.
func (w *world) isCut(name string) bool {
	machine, _, _ := strings.Cut(name, "/")
	return w.now.Before(w.cut[machine])
}

// event is something that happens at a time; those of one time happen in the order in which they were planned.
type event struct {
	at     time.Time
	serial int64
	run    func()
}

type events []*event

// Len implements heap.Interface.
func (q *events) Len() int { return len(*q) }

// Less implements heap.Interface.
func (q *events) Less(i, j int) bool {
	a, b := (*q)[i], (*q)[j]
	if !a.at.Equal(b.at) {
		return a.at.Before(b.at)
	}
	return a.serial < b.serial
}

// Swap implements heap.Interface.
func (q *events) Swap(i, j int) { (*q)[i], (*q)[j] = (*q)[j], (*q)[i] }

// Push implements heap.Interface.
func (q *events) Push(x any) { *q = append(*q, x.(*event)) }

// Pop implements heap.Interface.
func (q *events) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

func newWorld(seed uint64) *world {
	return &world{
		random:    rand.New(rand.NewPCG(seed, 0x5eed)),
		now:       epochOfTime,
		endpoints: map[string]func(*weirpb.Envelope){},
		cut:       map[string]time.Time{},
		trace:     func(string, ...any) {},
	}
}

// after plans f.
func (w *world) after(d time.Duration, f func()) {
	w.serial++
	heap.Push(&w.queue, &event{w.now.Add(d), w.serial, f})
}

// step lets the next event happen; false when there is none.
func (w *world) step() bool {
	if len(w.queue) == 0 {
		return false
	}
	e := heap.Pop(&w.queue).(*event)
	w.now = e.at
	w.steps++
	e.run()
	return true
}

// elapsed is the virtual time since the start.
func (w *world) elapsed() time.Duration { return w.now.Sub(epochOfTime) }

// faulty reports whether a fault of that probability happens now.
func (w *world) faulty(p float64) bool {
	return w.elapsed() < faultsEnd && w.random.Float64() < p
}

// delay is a random time up to a limit.
func (w *world) delay(limit time.Duration) time.Duration {
	return time.Duration(w.random.Int64N(int64(limit) + 1))
}

// fail notes the first broken invariant; the run ends there.
func (w *world) fail(format string, args ...any) {
	if w.failed == nil {
		w.failed = fmt.Errorf("at %v: "+format, append([]any{w.elapsed()}, args...)...)
	}
}

// send passes a message on: late, twice or not at all, and out of order.
func (w *world) send(from, to string, m *weirpb.Envelope) {
	m.From, m.To, m.Protocol = from, to, 1
	copies := 1
	switch {
	case w.faulty(w.faults.lose), w.isCut(from), w.isCut(to):
		copies = 0
	case w.faulty(w.faults.double):
		copies = 2
	}
	for range copies {
		sent := proto.CloneOf(m)
		limit := 2 * time.Millisecond
		if w.elapsed() < faultsEnd {
			limit = w.faults.slow
		}
		w.inFlight++
		if w.inFlight > inFlightMax {
			w.fail("%d messages on their way", w.inFlight)
		}
		w.after(w.delay(limit), func() {
			w.inFlight--
			if w.messages != nil {
				w.messages(sent)
			}
			if deliver := w.endpoints[to]; deliver != nil {
				deliver(sent)
			}
		})
	}
}
