// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobmaster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/coordinator"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
)

// Delays between attempts to record the end of a job, and how many there are.
const (
	recordRetryMin = 100 * time.Millisecond
	recordRetryMax = 10 * time.Second
	recordTries    = 20
)

// performStorage queues what is to be done on the checkpoint storage; to be called from the endpoint's goroutine.
func (j *JobMaster) performStorage(a core.Action) {
	switch a := a.(type) {
	case core.Store:
		j.storage.do(func() { j.store(a.Action) })
	case core.LoadRestore:
		j.storage.do(j.loadRestore)
	case core.Reply:
		j.reply(a.Reply)
	case core.Ended:
		j.conclude(a)
	}
}

// store does what the checkpoint coordinator wants of the store, on the storage goroutine.
func (j *JobMaster) store(a coordinator.Action) {
	l := j.config.Leader
	switch a := a.(type) {
	case coordinator.ReserveIDs:
		b, err := l.ReserveIDs(j.ctx)
		if err != nil {
			j.answer(coordinator.IDsFailed{Err: err}, err)
			return
		}
		j.answer(coordinator.IDsReserved{First: b.First, Count: b.Count}, nil)
	case coordinator.WriteMetadata:
		size, err := j.writeMetadata(j.ctx, a)
		if err != nil {
			j.answer(coordinator.MetadataFailed{ID: a.ID, Err: err}, err)
			return
		}
		j.answer(coordinator.MetadataWritten{ID: a.ID, Bytes: size}, nil)
	case coordinator.Claim:
		won, by, err := l.Claim(j.ctx, a.ID, storage.Complete, a.Kind)
		switch {
		case err != nil:
			j.answer(coordinator.ClaimFailed{ID: a.ID, Err: err}, err)
		case won:
			j.answer(coordinator.Claimed{ID: a.ID}, nil)
		default:
			j.answer(coordinator.ClaimLost{ID: a.ID, By: by.String()}, nil)
		}
	case coordinator.Delete:
		j.tidied(l.Delete(j.ctx, storage.Deletion{Below: a.Below, Complete: a.Complete, IDs: a.IDs, Files: a.Files}))
	case coordinator.RemoveFiles:
		j.tidied(l.RemoveFiles(j.ctx, a.Files))
	case coordinator.DiscardSavepoint:
		j.tidied(storage.DiscardSavepoint(j.ctx, j.config.Objects(a.Location)))
	}
}

// answer gives the core the outcome of something on the store.
func (j *JobMaster) answer(e coordinator.Event, err error) {
	if err != nil && j.ctx.Err() != nil {
		return // stopped: nobody waits for it
	}
	if err != nil {
		j.logger.Warn("checkpoint storage", "error", err)
	}
	j.endpoint.Post(func() {
		if errors.Is(err, storage.ErrDeposed) {
			j.deposed(err)
			return
		}
		j.event(func(now time.Time) { j.core.Stored(e, now) })
	})
}

// tidied logs what could not be removed: the next leader of the run sweeps it.
func (j *JobMaster) tidied(err error) {
	if err != nil && j.ctx.Err() == nil {
		j.logger.Warn("checkpoint storage: removal", "error", err)
	}
}

// writeMetadata stores the metadata of a checkpoint, and that of a savepoint in its own directory too, to which its state
// files are copied first: tasks write all they write into the directory of the run.
func (j *JobMaster) writeMetadata(ctx context.Context, a coordinator.WriteMetadata) (int64, error) {
	if a.Location == "" {
		return j.config.Leader.WriteMetadata(ctx, a.Metadata)
	}
	dir := j.config.Objects(a.Location)
	files := a.Metadata.Files()
	for _, path := range files {
		if err := j.copyFile(ctx, dir, path); err != nil {
			return 0, fmt.Errorf("copy state file to savepoint: %w", err)
		}
	}
	size, err := storage.WriteSavepoint(ctx, dir, a.Metadata)
	if err != nil {
		return 0, err
	}
	if a.Metadata.Kind != checkpoint.Savepoint {
		if size, err = j.config.Leader.WriteMetadata(ctx, a.Metadata.Rebased(a.Location)); err != nil {
			return 0, err
		}
	}
	j.tidied(j.config.Leader.RemoveFiles(ctx, files))
	return size, nil
}

// copyFile copies a state file of the run to a savepoint, unless an attempt before has.
func (j *JobMaster) copyFile(ctx context.Context, dir storage.Objects, path string) (err error) {
	if there, err := dir.Open(ctx, path); err == nil {
		return there.Close()
	}
	from, err := j.config.Leader.Open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := dir.NewWriter(ctx, path)
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, io.NewSectionReader(from, 0, from.Size())); err != nil {
		return errors.Join(err, to.Abort())
	}
	return to.Close()
}

// loadRestore reads what tasks are to start from: the newest checkpoint of the run or, where it has none, what the run
// began from.
func (j *JobMaster) loadRestore() {
	fail := func(err error) {
		j.post(func(now time.Time) { j.core.RestoreFailed(err, kindOf(err), now) })
	}
	// Whoever does not lead any more must not start what its successor has taken on.
	if err := j.config.Leader.Check(j.ctx); err != nil {
		if errors.Is(err, storage.ErrDeposed) {
			j.endpoint.Post(func() { j.deposed(err) })
		} else {
			fail(err)
		}
		return
	}
	found, err := j.config.Leader.Latest(j.ctx, j.config.Verify)
	if err != nil {
		fail(err)
		return
	}
	for _, skipped := range found.Skipped {
		j.logger.Error("checkpoint can't be used, an older one is", "error", skipped)
	}
	md, path := found.Metadata, ""
	var absolute *checkpoint.Metadata
	switch {
	case md != nil:
		absolute = md.Rebased(j.config.Leader.Location())
	case j.config.Snapshot != nil:
		md, path = j.config.Snapshot.Metadata, j.config.Snapshot.Path
		absolute = md
	default:
		j.post(func(now time.Time) { j.core.Restored(nil, nil, "", now) })
		return
	}
	encoded, err := absolute.Encode()
	if err != nil {
		fail(err)
		return
	}
	j.logger.Info("restoring", "checkpoint", md.ID, "of_job", md.JobID, "kind", md.Kind.String())
	j.post(func(now time.Time) { j.core.Restored(md, encoded, path, now) })
}

// conclude records how the job ended, then lets what is no longer needed go, then publishes the result.
func (j *JobMaster) conclude(e core.Ended) {
	r := Result{Status: e.Status, Cause: e.Cause, Savepoint: e.Savepoint, Deposed: e.Deposed}
	if e.Deposed || !e.Status.Terminal() {
		j.storage.do(func() { j.endpoint.Post(func() { j.finish(r) }) }) // behind what is on its way
		return
	}
	j.storage.do(func() {
		err := j.record(e)
		j.endpoint.Post(func() {
			if errors.Is(err, storage.ErrDeposed) {
				r = Result{Status: core.JobSuspended, Deposed: true}
			} else if err != nil {
				j.logger.Error("the end of the job is not recorded: the run may be continued", "error", err)
				j.core.Release()
				j.perform()
			} else {
				j.core.Recorded(time.Now())
				j.perform()
			}
			j.storage.do(func() { j.endpoint.Post(func() { j.finish(r) }) })
		})
	})
}

// record writes the result of the run, on the storage goroutine.
func (j *JobMaster) record(e core.Ended) error {
	res := storage.Result{
		Status: e.Status.String(), Ended: time.Now().UTC(), Checkpoint: e.Checkpoint, Savepoint: e.Savepoint,
	}
	if e.Cause != nil {
		res.Error = e.Cause.Error()
	}
	delay := recordRetryMin
	for try := 1; ; try++ {
		err := j.config.Leader.WriteResult(j.ctx, res)
		if err == nil || errors.Is(err, storage.ErrDeposed) {
			return err
		}
		// An attempt whose outcome was unknown, or an earlier JobMaster that died right after it, may have made the record.
		if there, rerr := j.config.Leader.Result(j.ctx); rerr == nil && there != nil {
			return nil
		}
		if try == recordTries {
			return err
		}
		j.logger.Warn("record the end of the job", "error", err)
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-j.ctx.Done():
			timer.Stop()
			return err
		}
		delay = min(2*delay, recordRetryMax)
	}
}

// recordHosts notes where tasks may run. It waits for nothing else on the store, since deployments wait for it. Where there
// is no room on the disk the record is removed: then the successor of this JobMaster looks for tasks a little longer.
func (j *JobMaster) recordHosts(hosts []core.Host) {
	j.wg.Go(func() {
		err := j.config.Leader.RecordHosts(j.ctx, hostsOf[storage.Host](hosts))
		if err != nil && !errors.Is(err, storage.ErrDeposed) && j.ctx.Err() == nil {
			j.logger.Warn("it is not on record where tasks run", "error", err)
			err = j.config.Leader.ForgetHosts(j.ctx)
		}
		if errors.Is(err, storage.ErrDeposed) {
			j.endpoint.Post(func() { j.deposed(err) })
			return
		}
		j.post(func(now time.Time) { j.core.HostsRecorded(err, now) })
	})
}

// hostsOf turns the hosts of one package into those of another.
func hostsOf[To, From core.Host | storage.Host](from []From) []To {
	all := make([]To, len(from))
	for i, h := range from {
		all[i] = To(h)
	}
	return all
}
