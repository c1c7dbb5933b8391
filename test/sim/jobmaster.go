// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint/coordinator"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

var errFault = errors.New("injected fault")

// jobMaster is one JobMaster process: the real core and the real leader of the run, with models of what its shell does.
// A stopped one does nothing at all until it is woken, its calls of the store included.
type jobMaster struct {
	s        *simulation
	name     string
	leader   *storage.Leader
	core     *core.Master
	dead     bool
	stopped  bool
	backlog  []func()
	sequence int64
	// store holds operations in order; busy tells that one is under way.
	store       []func()
	busy        bool
	enumerators map[int]*enumerator
	// seen are the TaskManagers that it knew last, lost those that it dropped.
	seen, lost []string
	planned    time.Time
	began      time.Time
}

// do calls f in the process: not if it has crashed, later if it is stopped.
func (j *jobMaster) do(f func()) {
	switch {
	case j.dead:
	case j.stopped:
		j.backlog = append(j.backlog, f)
	default:
		f()
	}
}

func (j *jobMaster) after(d time.Duration, f func()) { j.s.w.after(d, func() { j.do(f) }) }

// event hands something to the core, and does what that says.
func (j *jobMaster) event(f func(now time.Time)) {
	if j.dead {
		return
	}
	f(j.s.w.now)
	for _, a := range j.core.Take() {
		j.perform(a)
	}
	now := j.core.TaskManagers()
	for _, id := range j.seen {
		if !slices.Contains(now, id) && !slices.Contains(j.lost, id) {
			j.lost = append(j.lost, id)
		}
	}
	j.seen = now
	j.plan()
}

// renew looks at the epoch of the run now and then.
func (j *jobMaster) renew() {
	j.after(3*heartbeat, func() {
		if errors.Is(j.leader.Check(context.Background()), storage.ErrDeposed) {
			j.event(j.core.Deposed)
			return
		}
		j.renew()
	})
}

// plan has the core ticked when it is due.
func (j *jobMaster) plan() {
	next := j.core.Next()
	if j.dead || next.IsZero() || !j.planned.IsZero() && !next.Before(j.planned) && j.planned.After(j.s.w.now) {
		return
	}
	j.planned = next
	j.after(max(0, next.Sub(j.s.w.now)), func() {
		if !j.planned.Equal(next) {
			return // an earlier time was planned since
		}
		j.planned = time.Time{}
		if at := j.core.Next(); !at.IsZero() && !j.s.w.now.Before(at) {
			j.event(j.core.Tick)
		} else {
			j.plan() // what was due is not any more
		}
	})
}

func (j *jobMaster) perform(a core.Action) {
	switch a := a.(type) {
	case core.Send:
		j.sequence++
		a.Message.Sequence = j.sequence
		j.s.w.send(j.name, a.To, a.Message)
	case core.Transition:
		j.s.w.trace("%s: %v -> %v", j.name, a.From, a.To)
	case core.FailureSeen:
		j.s.w.trace("%s: failure %s", j.name, a.Failure.Error())
	case core.Reconciled:
		j.reconciled(a)
	case core.Commit:
		j.commit(a)
	case core.Store:
		j.enqueue(func() { j.storeAction(a.Action) })
	case core.RecordHosts:
		j.enqueue(func() { j.recordHosts(a.Hosts) })
	case core.LoadRestore:
		j.enqueue(j.loadRestore)
	case core.Ended:
		j.ended(a)
	case core.Reply:
		j.s.w.trace("%s: request %d answered: %v", j.name, a.Number, a.Err)
	default:
		j.performEnumerator(a)
	}
}

// reconciled notes which tasks this JobMaster has taken on.
func (j *jobMaster) reconciled(r core.Reconciled) {
	j.s.w.trace("%s: %d regions adopted, others: %v", j.name, r.Adopted, r.Restarted)
	j.s.seen["region adopted"] += r.Adopted
	j.s.seen["region restarted by a takeover"] += len(r.Restarted)
	if len(r.Restarted) > 0 && j.s.w.now.Before(j.began.Add(j.s.reconcile)) {
		j.s.seen["search for tasks ended early"]++
	}
	for _, v := range j.core.Details().Vertices {
		for _, t := range v.Subtasks {
			if t.State == core.Running || t.State == core.Finished {
				j.s.owner[t.Attempt] = j.leader.Epoch()
			}
		}
	}
}

// recordHosts notes where tasks may run, or else that this is not known.
func (j *jobMaster) recordHosts(hosts []core.Host) {
	ctx := context.Background()
	err := j.stored(func() error { return j.leader.RecordHosts(ctx, hostsOf[storage.Host](hosts)) })
	if err != nil && !errors.Is(err, storage.ErrDeposed) {
		err = j.stored(func() error { return j.leader.ForgetHosts(ctx) })
	}
	if errors.Is(err, storage.ErrDeposed) {
		j.event(j.core.Deposed)
		return
	}
	j.event(func(now time.Time) { j.core.HostsRecorded(err, now) })
}

func hostsOf[To, From core.Host | storage.Host](from []From) []To {
	var all []To
	for _, h := range from {
		all = append(all, To(h))
	}
	return all
}

// enqueue has f called once the store is free, after a while.
func (j *jobMaster) enqueue(f func()) {
	j.store = append(j.store, f)
	j.nextStore()
}

func (j *jobMaster) nextStore() {
	if j.busy || len(j.store) == 0 {
		return
	}
	j.busy = true
	f := j.store[0]
	j.store = j.store[1:]
	j.after(j.s.w.delay(15*time.Millisecond), func() {
		f()
		j.busy = false
		j.nextStore()
	})
}

// stored calls the store: before or after the call it may fail, so that its outcome is not known.
func (j *jobMaster) stored(f func() error) error {
	if j.s.w.faulty(j.s.w.faults.storeFails) {
		j.s.seen["store failed"]++
		return errFault
	}
	err := f()
	if err == nil && j.s.w.faulty(j.s.w.faults.storeFails) {
		return errFault
	}
	return err
}

// storeAction does what the checkpoint coordinator wants of the store.
func (j *jobMaster) storeAction(a coordinator.Action) {
	ctx := context.Background()
	var e coordinator.Event
	var err error
	switch a := a.(type) {
	case coordinator.ReserveIDs:
		var b storage.Block
		err = j.stored(func() (err error) { b, err = j.leader.ReserveIDs(ctx); return err })
		e = coordinator.IDsReserved{First: b.First, Count: b.Count}
		if err != nil {
			e = coordinator.IDsFailed{Err: err}
		}
	case coordinator.WriteMetadata:
		if j.s.metadata[a.ID] {
			j.s.w.fail("checkpoint id %d was used twice", a.ID)
		}
		j.s.metadata[a.ID] = true
		if a.Location == "" {
			err = j.stored(func() error { _, err := j.leader.WriteMetadata(ctx, a.Metadata); return err })
		}
		e = coordinator.MetadataWritten{ID: a.ID}
		if err != nil {
			e = coordinator.MetadataFailed{ID: a.ID, Err: err}
		}
	case coordinator.Claim:
		e, err = j.claim(ctx, a)
	case coordinator.Delete:
		err = j.stored(func() error {
			return j.leader.Delete(ctx, storage.Deletion{Below: a.Below, Complete: a.Complete, IDs: a.IDs, Files: a.Files})
		})
	}
	if errors.Is(err, storage.ErrDeposed) {
		j.event(j.core.Deposed)
		return
	}
	if e != nil {
		j.event(func(now time.Time) { j.core.Stored(e, now) })
	}
}

func (j *jobMaster) claim(ctx context.Context, a coordinator.Claim) (coordinator.Event, error) {
	var won bool
	var by storage.Marker
	err := j.stored(func() (err error) {
		won, by, err = j.leader.Claim(ctx, a.ID, storage.Complete, a.Kind)
		if won {
			j.s.complete[a.ID] = true
		}
		return err
	})
	switch {
	case err != nil:
		return coordinator.ClaimFailed{ID: a.ID, Err: err}, err
	case won:
		j.s.seen["checkpoint complete"]++
		j.s.w.trace("%s: checkpoint %d complete (%v)", j.name, a.ID, a.Kind)
		return coordinator.Claimed{ID: a.ID}, nil
	}
	return coordinator.ClaimLost{ID: a.ID, By: by.String()}, nil
}

func (j *jobMaster) loadRestore() {
	var found *storage.Recovered
	err := j.stored(func() (err error) {
		if err = j.leader.Check(context.Background()); err == nil {
			found, err = j.leader.Latest(context.Background(), nil)
		}
		return err
	})
	if errors.Is(err, storage.ErrDeposed) {
		j.event(j.core.Deposed)
		return
	}
	if err != nil {
		j.event(func(now time.Time) { j.core.RestoreFailed(err, core.World, now) })
		return
	}
	if found.Metadata == nil {
		j.event(func(now time.Time) { j.core.Restored(nil, nil, "", now) })
		return
	}
	encoded, err := found.Metadata.Encode()
	if err != nil {
		j.s.w.fail("encode: %v", err)
		return
	}
	j.s.seen["restored"]++
	j.s.w.trace("%s: restores checkpoint %d", j.name, found.Metadata.ID)
	j.event(func(now time.Time) { j.core.Restored(found.Metadata, encoded, "", now) })
}

// commit makes committables visible; the call may fail before or after it has.
func (j *jobMaster) commit(c core.Commit) {
	if !j.s.complete[c.Checkpoint] {
		j.s.w.fail("%s commits checkpoint %d, which is not complete", j.name, c.Checkpoint)
	}
	j.after(j.s.w.delay(30*time.Millisecond), func() {
		var err error
		if j.s.w.faulty(j.s.w.faults.commitFails) {
			err = errFault
		} else {
			for _, p := range c.Prepared {
				var all []committable
				if jerr := json.Unmarshal(p, &all); jerr != nil {
					j.s.w.fail("committables: %v", jerr)
				}
				for _, x := range all {
					j.s.commit(x)
				}
			}
			if j.s.w.faulty(j.s.w.faults.commitFails) {
				err = errFault
			}
		}
		j.event(func(now time.Time) { j.core.Committed(c, err, false, now) })
	})
}

// ended records the result, unless the job goes on elsewhere.
func (j *jobMaster) ended(e core.Ended) {
	j.s.w.trace("%s: ends as %v", j.name, e.Status)
	switch {
	case e.Deposed:
		j.s.seen["JobMaster deposed"]++
		j.die()
	case e.Status == core.JobSuspended:
		j.s.seen["JobMaster suspended"]++
		j.after(0, j.die) // after what it has still to send
		j.s.w.after(j.s.w.delay(500*time.Millisecond), j.s.startJobMaster)
	default:
		j.enqueue(func() { j.record(e) })
	}
}

func (j *jobMaster) record(e core.Ended) {
	err := j.stored(func() error {
		return j.leader.WriteResult(context.Background(), storage.Result{Status: e.Status.String()})
	})
	if there, rerr := j.leader.Result(context.Background()); rerr == nil && there != nil && !errors.Is(err, storage.ErrDeposed) {
		err = nil // made by an attempt whose outcome was unknown
	}
	switch {
	case errors.Is(err, storage.ErrDeposed):
		j.die()
		return
	case err != nil:
		j.enqueue(func() { j.record(e) })
		return
	}
	text := ""
	if e.Cause != nil {
		text = e.Cause.Error()
	}
	j.s.result = fmt.Sprintf("%v %s", e.Status, text)
	j.event(j.core.Recorded)
}

func (j *jobMaster) die() {
	j.dead = true
	delete(j.s.w.endpoints, j.name)
}

func (j *jobMaster) receive(e *weirpb.Envelope) {
	j.do(func() { j.event(func(now time.Time) { j.core.Receive(e, now) }) })
}
