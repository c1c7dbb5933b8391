// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/jobsettings"
	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

const (
	// operationsMax is how many operations may be under way, operationsKeptMax how many that are done are remembered.
	operationsMax, operationsKeptMax = 100, 1000
	// operationTimeout ends an operation that nothing else ends: a savepoint that is never complete, say.
	operationTimeout = time.Hour
)

// operationKey is a trigger id, of a job or of none.
type operationKey struct{ job, trigger string }

// operations are those that are under way, and the newest that are done.
type operations struct {
	byKey map[operationKey]rest.Operation
	done  []operationKey // oldest first
}

func newOperations() operations { return operations{byKey: map[operationKey]rest.Operation{}} }

// begin remembers an operation, unless it is known.
func (o *operations) begin(k operationKey, kind rest.OperationKind) (known bool, err error) {
	if _, known = o.byKey[k]; known {
		return true, nil
	}
	if len(o.byKey)-len(o.done) >= operationsMax {
		return false, fmt.Errorf("%w: %d operations are under way", rest.ErrUnavailable, operationsMax)
	}
	o.byKey[k] = rest.Operation{Kind: kind}
	return false, nil
}

// end remembers how an operation ended, and forgets the oldest.
func (o *operations) end(k operationKey, op rest.Operation) {
	op.Done = true
	o.byKey[k] = op
	o.done = append(o.done, k)
	if len(o.done) > operationsKeptMax {
		delete(o.byKey, o.done[0])
		o.done = o.done[1:]
	}
}

// operate runs f as an operation and returns when its trigger id is known.
func (d *Dispatcher) operate(
	k operationKey, kind rest.OperationKind, f func(ctx context.Context) (rest.Operation, error),
) error {
	d.mu.Lock()
	known, err := d.mu.operations.begin(k, kind)
	d.mu.Unlock()
	if known || err != nil {
		return err
	}
	run := func(ctx context.Context) {
		ctx, cancel := context.WithTimeoutCause(ctx, operationTimeout, fmt.Errorf("not done within %v", operationTimeout))
		defer cancel()
		op, err := f(ctx)
		op.Kind = kind
		if err != nil {
			op.Failure = err.Error()
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.mu.operations.end(k, op)
	}
	if !d.spawn(run) {
		return fmt.Errorf("%w: %w", rest.ErrUnavailable, ErrClosed)
	}
	return nil
}

// Operation implements rest.Jobs.
func (d *Dispatcher) Operation(_ context.Context, job, trigger string) (rest.Operation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	op, ok := d.mu.operations.byKey[operationKey{job, trigger}]
	if !ok {
		return op, fmt.Errorf("operation %s: %w", trigger, rest.ErrNotFound)
	}
	return op, nil
}

// Savepoint implements rest.Jobs.
func (d *Dispatcher) Savepoint(_ context.Context, id, trigger string, take *weirpb.TakeSavepoint) error {
	j, err := d.running(id, trigger)
	if j == nil {
		return err
	}
	dir := cmp.Or(take.GetDir(), j.savepointDir(), d.config.SavepointDir)
	if dir == "" {
		return fmt.Errorf("%w: no directory for the savepoint is given and execution.checkpointing.savepoint-dir is not set",
			rest.ErrInvalid)
	}
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("%w: directory of the savepoint %q: want an absolute path", rest.ErrInvalid, dir)
	}
	r := &weirpb.JobRequest{Body: &weirpb.JobRequest_Savepoint{Savepoint: &weirpb.TakeSavepoint{
		Dir: dir, Stop: take.GetStop(), Drain: take.GetDrain(), Cancel: take.GetCancel(),
	}}}
	ends := take.GetStop() || take.GetCancel()
	return d.operate(operationKey{id, trigger}, rest.OperationSavepoint, func(ctx context.Context) (rest.Operation, error) {
		reply, err := j.request(ctx, r)
		if location := j.savepoint(); ends && location != "" && (errors.Is(err, errLost) || errors.Is(err, errEnded)) {
			return rest.Operation{Location: location}, nil
		}
		return rest.Operation{Location: reply.GetLocation()}, explainLost(err, "savepoint")
	})
}

// savepointDir is the directory of savepoints that the settings of the job name.
func (j *job) savepointDir() string {
	s, err := jobsettings.ParseKnown(j.record.Settings)
	if err != nil {
		return "" // an earlier version took them
	}
	return s.SavepointDir
}

// savepoint is the one that the job has ended with.
func (j *job) savepoint() string { return j.current().GetResult().GetSavepoint() }

// Checkpoint implements rest.Jobs.
func (d *Dispatcher) Checkpoint(_ context.Context, id, trigger string, full bool) error {
	j, err := d.running(id, trigger)
	if j == nil {
		return err
	}
	r := &weirpb.JobRequest{Body: &weirpb.JobRequest_Checkpoint{Checkpoint: &weirpb.TakeCheckpoint{Full: full}}}
	return d.operate(operationKey{id, trigger}, rest.OperationCheckpoint, func(ctx context.Context) (rest.Operation, error) {
		reply, err := j.request(ctx, r)
		return rest.Operation{Checkpoint: reply.GetCheckpoint()}, explainLost(err, "checkpoint")
	})
}

func explainLost(err error, what string) error {
	if errors.Is(err, errLost) {
		return fmt.Errorf("%s: %w; the job goes on, ask again", what, err)
	}
	return err
}

// running returns a job that can begin an operation; none, without an error, if the trigger id is known already.
func (d *Dispatcher) running(id, trigger string) (*job, error) {
	j, err := d.job(id)
	if err != nil {
		return nil, err
	}
	if _, err := d.Operation(d.ctx, id, trigger); err == nil {
		return nil, nil
	}
	if j.isEnded() {
		return nil, fmt.Errorf("job %s: %w: it is %s", id, rest.ErrConflict, j.current().GetState())
	}
	return j, nil
}

// Dispose implements rest.Jobs.
func (d *Dispatcher) Dispose(_ context.Context, trigger, savepoint string) error {
	if !filepath.IsAbs(savepoint) {
		return fmt.Errorf("%w: savepoint %q: want an absolute path", rest.ErrInvalid, savepoint)
	}
	dir := path.Clean(savepoint)
	if path.Base(dir) == storage.SavepointMetadata {
		dir = path.Dir(dir)
	}
	return d.operate(operationKey{trigger: trigger}, rest.OperationDispose, func(ctx context.Context) (rest.Operation, error) {
		return rest.Operation{}, storage.Dispose(ctx, d.config.Objects(dir))
	})
}
