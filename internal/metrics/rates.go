// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"sync"
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Rates turns the totals in details of jobs into rates. It remembers two readings of each job that is asked for, so that
// a rate is over at least rateWindow while someone keeps asking; for the first reading it is over the life of the attempt.
type Rates struct {
	mu   sync.Mutex
	jobs map[string]*readings
}

const (
	// rateWindow is the least age of the reading that a rate counts from, once there is one.
	rateWindow = 5 * time.Second
	// rateJobsMax bounds the jobs whose readings are kept; the one that was asked for the longest ago goes first.
	rateJobsMax = 1024
)

type readings struct {
	// from is what rates count from, next becomes it when it is older than rateWindow.
	from, next reading
}

type reading struct {
	at       time.Time
	attempts map[int64]totals
}

type totals struct {
	busy, idle, backpressured int64
	bytesIn, bytesOut         int64
	in, out                   []int64
}

// TaskRates are the figures of a task per second.
type TaskRates struct {
	// Busy, Idle and Backpressured are milliseconds per second, 0 to 1000.
	Busy, Idle, Backpressured float64
	// BytesIn and BytesOut are bytes per second from and to other tasks.
	BytesIn, BytesOut float64
	// In and Out are records per second of each operator of the chain.
	In, Out []float64
}

// NewRates returns one that remembers nothing yet.
func NewRates() *Rates {
	return &Rates{jobs: map[string]*readings{}}
}

// Observe takes a reading and returns the rates of all current attempts by attempt id.
func (r *Rates) Observe(now time.Time, d *weirpb.JobDetail) map[int64]TaskRates {
	current := reading{at: now, attempts: map[int64]totals{}}
	started := map[int64]time.Time{}
	for _, v := range d.Vertices {
		for _, s := range v.Subtasks {
			if a := s.Current; a.GetMetrics() != nil {
				current.attempts[a.Id] = totalsOf(a.Metrics)
				started[a.Id] = startOf(a)
			}
		}
	}
	from := r.advance(d.JobId, current)
	rates := make(map[int64]TaskRates, len(current.attempts))
	for id, t := range current.attempts {
		before, ok := from.attempts[id]
		since := from.at
		if !ok {
			since = started[id]
		}
		rates[id] = t.since(before, now.Sub(since))
	}
	return rates
}

// advance keeps a reading and returns the one that rates count from.
func (r *Rates) advance(job string, current reading) reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := r.jobs[job]
	if j == nil {
		r.makeRoom()
		j = &readings{next: current}
		r.jobs[job] = j
		return reading{}
	}
	if current.at.Sub(j.next.at) >= rateWindow {
		j.from, j.next = j.next, current
	}
	return j.from
}

func (r *Rates) makeRoom() {
	if len(r.jobs) < rateJobsMax {
		return
	}
	oldest := ""
	for id, j := range r.jobs {
		if oldest == "" || j.next.at.Before(r.jobs[oldest].next.at) {
			oldest = id
		}
	}
	delete(r.jobs, oldest)
}

func totalsOf(m *weirpb.TaskMetrics) totals {
	t := totals{
		busy: m.BusyNanos, idle: m.IdleNanos, backpressured: m.BackpressuredNanos, bytesIn: m.BytesIn, bytesOut: m.BytesOut,
	}
	for _, o := range m.Operators {
		t.in, t.out = append(t.in, o.RecordsIn), append(t.out, o.RecordsOut)
	}
	return t
}

// startOf is when an attempt began to work.
func startOf(a *weirpb.AttemptDetail) time.Time {
	for _, state := range []string{"INITIALIZING", "RUNNING", "DEPLOYING"} {
		if at := a.Timestamps[state]; at > 0 {
			return time.UnixMilli(at)
		}
	}
	return time.Time{}
}

func (t totals) since(before totals, passed time.Duration) TaskRates {
	r := TaskRates{In: make([]float64, len(t.in)), Out: make([]float64, len(t.out))}
	if passed <= 0 {
		return r
	}
	share := func(now, then int64) float64 {
		return min(1000, max(0, float64(now-then)/float64(passed)*1000))
	}
	r.Busy, r.Idle = share(t.busy, before.busy), share(t.idle, before.idle)
	r.Backpressured = share(t.backpressured, before.backpressured)
	r.BytesIn, r.BytesOut = perSecond(t.bytesIn, before.bytesIn, passed), perSecond(t.bytesOut, before.bytesOut, passed)
	for i := range t.in {
		r.In[i] = perSecond(t.in[i], at(before.in, i), passed)
		r.Out[i] = perSecond(t.out[i], at(before.out, i), passed)
	}
	return r
}

func perSecond(now, then int64, passed time.Duration) float64 {
	return max(0, float64(now-then)/passed.Seconds())
}

func at(values []int64, i int) int64 {
	if i < len(values) {
		return values[i]
	}
	return 0
}
