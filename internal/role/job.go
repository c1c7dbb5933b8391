// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package role

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/weir-stream/weir/internal/jobmanager/jobmaster"
	"github.com/weir-stream/weir/internal/jobmanager/launch"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

const (
	// A summary is sent with the first beat of the JobMaster that comes summaryBeats after the last one, and after
	// summaryInterval at the latest, while nothing changes: it shows that the JobMaster lives. The Dispatcher waits for two.
	// summaryPause is the least between two.
	summaryBeats    = 3 * time.Second
	summaryInterval = 5 * time.Second
	// resultInterval is the time between two summaries with the result, which is repeated until the link is closed.
	resultInterval = time.Second
	summaryPause   = 50 * time.Millisecond
	// requestsMax is how many requests may be under way, and seenMax of how many it is remembered that they came.
	requestsMax = 64
	seenMax     = 1024
)

// jobRole answers for the job at the endpoint that the Dispatcher asks. But for wg it belongs to the endpoint's goroutine.
type jobRole struct {
	job, dispatcher string
	described       *described
	spec            *weirpb.RoleSpec
	checkpointDir   string
	endpoint        *rpc.Endpoint
	logger          *slog.Logger
	launched        *launch.Job
	begun           chan struct{}   // closed when launched is set, or never will be
	ctx             context.Context // of the requests under way; the process's own
	wg              sync.WaitGroup  // of these
	underWay        int
	seen            []int64 // numbers of requests, oldest first: one that comes again is answered once
	next            time.Time
	sent            time.Time
	epoch           int64
	asking          bool // for a summary
}

var _ rpc.Handler = (*jobRole)(nil)

// serve answers until ctx ends, with the process.
func (r *jobRole) serve(ctx context.Context, j *launch.Job) error {
	r.endpoint.Post(func() {
		r.launched, r.next = j, time.Now()
		close(r.begun)
	})
	if m := j.Master(); m != nil {
		r.wg.Go(func() {
			select {
			case <-m.Done():
				r.changed()
			case <-ctx.Done():
			}
		})
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// stop ends the endpoint and all requests under way; those that wait for a run that is not led after all hear so.
func (r *jobRole) stop() {
	r.endpoint.Stop() // from here on the state is this goroutine's
	if r.launched == nil {
		close(r.begun)
	}
	r.wg.Wait()
}

// changed has a summary sent soon; to be called from any goroutine.
func (r *jobRole) changed() {
	r.endpoint.Post(func() {
		if due := r.sent.Add(summaryPause); due.Before(r.next) {
			r.next = due
		}
	})
}

// beat has a summary sent if that is due soon, beside what the JobMaster does at that moment; to be called from any goroutine.
func (r *jobRole) beat(now time.Time) {
	r.endpoint.Post(func() {
		if now.Before(r.next) && now.Sub(r.sent) >= summaryBeats {
			r.next = now
		}
	})
}

// Next implements rpc.Handler.
func (r *jobRole) Next() time.Time { return r.next }

// Tick implements rpc.Handler.
func (r *jobRole) Tick(now time.Time) {
	if now.Before(r.next) {
		return
	}
	m := r.launched.Master()
	ended := m == nil || isDone(m)
	r.next, r.sent = now.Add(summaryInterval), now
	if ended {
		r.next = now.Add(resultInterval)
	}
	if m == nil {
		r.push(pastSummary(r.launched, r.job, r.described.stream.Name))
		return
	}
	if r.asking {
		return
	}
	r.asking = true
	r.wg.Go(func() {
		w, err := m.Summary(r.ctx)
		r.endpoint.Post(func() {
			r.asking = false
			if err != nil {
				return // the process ends
			}
			if ended {
				w.Result = resultOf(m.Result())
			}
			r.push(w)
		})
	})
}

// push sends a summary to the Dispatcher.
func (r *jobRole) push(w *weirpb.JobSummary) {
	r.epoch = w.GetEpoch()
	r.send(&weirpb.Envelope{Body: &weirpb.Envelope_JobSummary{JobSummary: w}})
}

func (r *jobRole) send(e *weirpb.Envelope) {
	e.JobId, e.Epoch = r.job, r.epoch
	r.endpoint.Send(r.dispatcher, e)
}

func isDone(m *jobmaster.JobMaster) bool {
	select {
	case <-m.Done():
		return true
	default:
		return false
	}
}

// resultOf is how the job ended for its JobMaster.
func resultOf(r jobmaster.Result) *weirpb.JobResult {
	w := &weirpb.JobResult{State: r.Status.String(), Savepoint: r.Savepoint, Deposed: r.Deposed}
	if r.Cause != nil {
		w.Error = r.Cause.Error()
	}
	return w
}

// pastSummary is that of a run that had ended before.
func pastSummary(j *launch.Job, id, name string) *weirpb.JobSummary {
	p := j.Past()
	return &weirpb.JobSummary{
		JobId: id, Name: name, State: p.Status, Epoch: p.Epoch,
		EndUnixMillis: p.Ended.UnixMilli(), ModifiedUnixMillis: p.Ended.UnixMilli(),
		Result: &weirpb.JobResult{State: p.Status, Error: p.Error, Savepoint: p.Savepoint},
	}
}

// Receive implements rpc.Handler.
func (r *jobRole) Receive(e *weirpb.Envelope) {
	q := e.GetJobRequest()
	if q == nil || slices.Contains(r.seen, q.GetNumber()) {
		return
	}
	if len(r.seen) == seenMax {
		r.seen = slices.Delete(r.seen, 0, 1)
	}
	r.seen = append(r.seen, q.GetNumber())
	to := e.GetFrom()
	if r.underWay == requestsMax {
		r.reply(to, q, &weirpb.JobReply{Error: fmt.Sprintf("%d requests are under way already", requestsMax)})
		return
	}
	r.underWay++
	r.wg.Go(func() {
		a, err := r.answer(q)
		if err != nil {
			a = &weirpb.JobReply{Error: err.Error()}
		}
		r.endpoint.Post(func() {
			r.underWay--
			r.reply(to, q, a)
		})
	})
}

func (r *jobRole) reply(to string, q *weirpb.JobRequest, a *weirpb.JobReply) {
	a.Number = q.GetNumber()
	e := &weirpb.Envelope{JobId: r.job, Epoch: r.epoch, Body: &weirpb.Envelope_JobReply{JobReply: a}}
	r.endpoint.Send(to, e)
}

// answer does what is asked for and returns when it is done.
func (r *jobRole) answer(q *weirpb.JobRequest) (*weirpb.JobReply, error) {
	<-r.begun
	if r.launched == nil {
		return nil, errors.New("the run of the job is not led")
	}
	m := r.launched.Master()
	if m == nil {
		p := r.launched.Past()
		if q.GetDescribe() != nil {
			return &weirpb.JobReply{Detail: pastDetail(p, r.job, r.described.stream)}, nil
		}
		return nil, fmt.Errorf("%w: %s", jobmaster.ErrEnded, p.Status)
	}
	switch b := q.GetBody().(type) {
	case *weirpb.JobRequest_Describe:
		d, err := m.Detail(r.ctx)
		if err != nil {
			return nil, err
		}
		r.withSettings(d)
		return &weirpb.JobReply{Detail: d}, nil
	case *weirpb.JobRequest_Cancel:
		m.Cancel() // it is done soon, or the summaries say why not
		return &weirpb.JobReply{}, nil
	case *weirpb.JobRequest_Suspend:
		m.Suspend()
		select {
		case <-m.Done():
			return &weirpb.JobReply{}, nil
		case <-r.ctx.Done():
			return nil, context.Cause(r.ctx)
		}
	case *weirpb.JobRequest_Checkpoint:
		id, err := m.Checkpoint(r.ctx, b.Checkpoint.GetFull())
		return &weirpb.JobReply{Checkpoint: id}, err
	case *weirpb.JobRequest_Savepoint:
		location, err := r.savepoint(m, b.Savepoint)
		return &weirpb.JobReply{Location: location}, err
	}
	return nil, errors.New("the request is not known to this version")
}

// savepoint takes one, and ends the job with it where that is asked for.
func (r *jobRole) savepoint(m *jobmaster.JobMaster, q *weirpb.TakeSavepoint) (string, error) {
	dir := q.GetDir()
	if dir == "" {
		dir = r.described.savepointDir
	}
	if dir == "" {
		return "", errors.New("no directory is given for the savepoint, and none is set")
	}
	if q.GetStop() || q.GetDrain() {
		return m.StopWithSavepoint(r.ctx, dir, q.GetDrain())
	}
	location, err := m.Savepoint(r.ctx, dir)
	if err == nil && q.GetCancel() {
		m.Cancel()
	}
	return location, err
}
