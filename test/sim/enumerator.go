// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
)

// enumerator is the model of a split enumerator with its goroutine: calls are done one after the other, each after a
// while, and what they lead to is told in order.
type enumerator struct {
	j        *jobMaster
	source   int
	instance int
	stopped  bool
	left     []split
	last     time.Time
}

func (j *jobMaster) performEnumerator(a core.Action) {
	switch a := a.(type) {
	case core.StartEnumerator:
		e := &enumerator{j: j, source: a.Source, instance: a.Instance}
		j.enumerators[a.Source] = e
		e.call(func() {
			if a.Restored == nil {
				e.left = j.s.allSplits()
			} else if err := json.Unmarshal(a.Restored, &e.left); err != nil {
				j.s.w.fail("enumerator state: %v", err)
			}
			e.assigned(a.Assigned)
			j.s.w.trace("%s: enumerator starts with %v", j.name, e.left)
			j.event(func(now time.Time) { j.core.EnumeratorStarted(e.source, e.instance, now) })
		})
	case core.StopEnumerator:
		if e := j.enumerators[a.Source]; e != nil && e.instance == a.Instance {
			e.stopped = true
		}
	case core.ReaderReady:
		if e := j.current(a.Source, a.Instance); e != nil {
			e.call(func() {
				for range a.Times {
					e.ready(a.Reader)
				}
			})
		}
	case core.AddBack:
		if e := j.current(a.Source, a.Instance); e != nil {
			e.call(func() {
				for _, b := range a.Splits {
					var back []split
					if err := json.Unmarshal(b, &back); err != nil {
						j.s.w.fail("splits: %v", err)
					}
					e.left = append(e.left, back...)
					j.s.seen["splits given back"]++
					j.s.w.trace("%s: %v given back by reader %d", j.name, back, a.Reader)
				}
			})
		}
	case core.SnapshotEnumerator:
		if e := j.current(a.Source, a.Instance); e != nil {
			e.call(func() {
				state, err := json.Marshal(e.left)
				if j.s.w.faulty(j.s.w.faults.enumeratorFails) {
					state, err = nil, errFault
				}
				j.event(func(now time.Time) {
					j.core.EnumeratorSnapshot(e.source, e.instance, a.Checkpoint, state, err, now)
				})
			})
		}
	}
}

// assigned takes out the splits that living readers have.
func (e *enumerator) assigned(all []core.AssignedSplits) {
	for _, a := range all {
		for _, b := range a.Splits {
			var taken []split
			if err := json.Unmarshal(b, &taken); err != nil {
				e.j.s.w.fail("splits: %v", err)
			}
			e.left = slices.DeleteFunc(e.left, func(s split) bool {
				return slices.ContainsFunc(taken, func(t split) bool { return t.ID == s.ID })
			})
			e.j.s.seen["splits left with their reader"]++
		}
	}
}

func (j *jobMaster) current(source, instance int) *enumerator {
	if e := j.enumerators[source]; e != nil && e.instance == instance {
		return e
	}
	return nil
}

// call has f called after those before it, unless the enumerator is stopped by then.
func (e *enumerator) call(f func()) {
	w := e.j.s.w
	at := w.now.Add(w.delay(10 * time.Millisecond))
	if at.Before(e.last) {
		at = e.last
	}
	e.last = at
	e.j.after(at.Sub(w.now), func() {
		if e.stopped {
			return
		}
		if w.faulty(w.faults.enumeratorFails / 4) {
			e.stopped = true
			e.j.event(func(now time.Time) { e.j.core.EnumeratorFailed(e.source, e.instance, errFault, core.User, now) })
			return
		}
		f()
	})
}

// ready assigns the next split, or says that there is none.
func (e *enumerator) ready(reader int) {
	if len(e.left) == 0 {
		e.j.event(func(time.Time) { e.j.core.SplitsAssigned(e.source, e.instance, reader, nil, true) })
		return
	}
	b, err := json.Marshal(e.left[:1])
	if err != nil {
		e.j.s.w.fail("splits: %v", err)
	}
	e.j.s.w.trace("%s: split %d to reader %d", e.j.name, e.left[0].ID, reader)
	e.left = e.left[1:]
	e.j.event(func(time.Time) { e.j.core.SplitsAssigned(e.source, e.instance, reader, b, false) })
}
