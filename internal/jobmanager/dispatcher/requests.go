// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/jobmanager/dispatcher/core"
	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

const (
	// restartWait is how long a request waits for a JobMaster that is being started again.
	restartWait = time.Minute
	// detailTimeout bounds the wait for the detail of a job, and detailAge is how old a detail may be that is shown.
	detailTimeout = 2 * time.Second
	detailAge     = 100 * time.Millisecond
)

// request asks the JobMaster of the job and waits for the answer: first for a JobMaster that answers, for a bounded time,
// and then as long as ctx lasts. errLost means that the JobMaster ended meanwhile: it may have done what was asked for.
func (j *job) request(ctx context.Context, r *weirpb.JobRequest) (*weirpb.JobReply, error) {
	waiting, cancel := context.WithTimeoutCause(ctx, restartWait,
		fmt.Errorf("%w: the job has had no JobMaster for %v", rest.ErrUnavailable, restartWait))
	defer cancel()
	reply := make(chan *weirpb.JobReply, 1)
	r.Number = j.d.numbers.Add(1)
	var epoch int64
	ended := false
	err := j.await(waiting, func() bool {
		if ended = j.mu.ended; ended {
			return true
		}
		if !j.mu.ready {
			return false
		}
		epoch = j.mu.summary.GetEpoch()
		j.mu.pending[r.Number] = reply
		return true
	})
	if ended {
		err = errEnded
	}
	if err != nil {
		return nil, err
	}
	j.ask(epoch, r)
	select {
	case answer, ok := <-reply:
		if !ok {
			return nil, errLost
		}
		if answer.GetError() != "" {
			return nil, errors.New(answer.GetError())
		}
		return answer, nil
	case <-ctx.Done():
		j.mu.Lock()
		delete(j.mu.pending, r.Number)
		j.changeLocked()
		j.mu.Unlock()
		return nil, context.Cause(ctx)
	}
}

// ask sends a request to the JobMaster that there is.
func (j *job) ask(epoch int64, r *weirpb.JobRequest) {
	j.d.send("job/"+j.record.ID, &weirpb.Envelope{
		JobId: j.record.ID, Epoch: epoch, Body: &weirpb.Envelope_JobRequest{JobRequest: r},
	})
}

// reply takes the answer to a request.
func (j *job) reply(r *weirpb.JobReply) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if to := j.mu.pending[r.GetNumber()]; to != nil {
		delete(j.mu.pending, r.GetNumber())
		to <- r
		j.changeLocked()
	}
}

// freshDetail asks the JobMaster for the job's detail; nil if it does not answer.
func (j *job) freshDetail(ctx context.Context) *weirpb.JobDetail {
	ctx, cancel := context.WithTimeout(ctx, detailTimeout)
	defer cancel()
	if !j.isReady() {
		return nil
	}
	answer, err := j.request(ctx, &weirpb.JobRequest{Body: &weirpb.JobRequest_Describe{Describe: &weirpb.DescribeJob{}}})
	if err != nil || answer.GetDetail() == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	// The JobMaster knows only when it began itself.
	answer.GetDetail().Start = j.record.Submitted.UnixMilli()
	j.mu.detail, j.mu.detailAt = answer.GetDetail(), time.Now()
	return j.mu.detail
}

// recentDetail is the last detail that the JobMaster sent, and whether it is still new.
func (j *job) recentDetail() (d *weirpb.JobDetail, fresh bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mu.detail, j.mu.detail != nil && time.Since(j.mu.detailAt) <= detailAge
}

// showDetail is the newest detail that can be had.
func (j *job) showDetail(ctx context.Context) (*weirpb.JobDetail, error) {
	select {
	case j.detailTurn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-j.detailTurn }()
	if d, fresh := j.recentDetail(); fresh {
		return d, nil
	}
	if d := j.freshDetail(ctx); d != nil {
		return d, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if d, _ := j.recentDetail(); d != nil {
		return d, nil
	}
	return j.plainDetail(), nil
}

// plainDetail is what is known of a job without its JobMaster.
func (j *job) plainDetail() *weirpb.JobDetail {
	s := j.current()
	d := &weirpb.JobDetail{
		JobId: s.GetJobId(), Name: s.GetName(), Epoch: s.GetEpoch(), State: s.GetState(), Start: s.GetStartUnixMillis(),
		End: s.GetEndUnixMillis(), Plan: j.described.GetPlan(), SlotsNeeded: j.described.GetSlotsNeeded(),
		Timestamps: map[string]int64{stateInitializing: s.GetStartUnixMillis()},
		Config: &weirpb.JobConfig{
			Parallelism: j.described.GetParallelism(), Arguments: j.record.Arguments, CheckpointDir: j.record.CheckpointDir,
		},
	}
	d.Timestamps[s.GetState()] = s.GetModifiedUnixMillis()
	return d
}

// lastDetail is that of a job that ended without a JobMaster that could describe it.
func (j *job) lastDetail(end core.End) *weirpb.JobDetail {
	j.mu.Lock()
	d := proto.CloneOf(j.mu.detail)
	j.mu.Unlock()
	if d == nil {
		d = j.plainDetail()
	}
	at := end.At.UnixMilli()
	d.State, d.End = end.State, at
	if d.Timestamps == nil {
		d.Timestamps = map[string]int64{}
	}
	d.Timestamps[end.State] = at
	if end.Error != "" {
		d.Cause = &weirpb.FailureDetail{At: at, Text: end.Error, Kind: weirpb.FailureKind_FAILURE_KIND_FATAL}
		d.Failures = append(d.Failures, d.Cause)
	}
	return d
}
