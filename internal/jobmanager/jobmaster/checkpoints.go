// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobmaster

import (
	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/coordinator"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// unknown stands for a number that is not measured.
const unknown = -1

// checkpointsOf are the figures of checkpoints as a message.
func checkpointsOf(s *coordinator.Stats, g *graph.JobGraph, path func(id int64) string) *weirpb.CheckpointsDetail {
	w := &weirpb.CheckpointsDetail{
		Restored: s.Counts.Restored, Total: s.Counts.Total, InProgress: s.Counts.InProgress,
		Completed: s.Counts.Completed, Failed: s.Counts.Failed,
		LatestCompleted: checkpointOf(s.LatestCompleted, g, path), LatestSavepoint: checkpointOf(s.LatestSavepoint, g, path),
		LatestFailed: checkpointOf(s.LatestFailed, g, path),
	}
	retained := 0
	for _, c := range s.History { // newest first
		d := checkpointOf(c, g, path)
		if c.Status == coordinator.Completed && !isSavepoint(c.Kind) {
			d.Discarded = retained >= g.Stream.Checkpoints.WithDefaults().Retained
			retained++
		}
		w.History = append(w.History, d)
	}
	if r := s.LatestRestored; r != nil {
		w.LatestRestored = &weirpb.RestoreDetail{Id: r.ID, At: millis(r.At), Savepoint: r.Savepoint, Location: r.Path}
	}
	return w
}

func isSavepoint(k checkpoint.Kind) bool {
	return k == checkpoint.Savepoint || k == checkpoint.Terminal
}

func checkpointOf(c *coordinator.CheckpointStats, g *graph.JobGraph, path func(id int64) string) *weirpb.CheckpointDetail {
	if c == nil {
		return nil
	}
	w := &weirpb.CheckpointDetail{
		Id: c.ID, Status: statusOf(c.Status), Type: typeOf(c.Kind), Trigger: millis(c.Trigger),
		LatestAck: millis(c.LatestAck), End: millis(c.End), StateBytes: c.StateBytes, AddedBytes: c.AddedBytes,
		Location: c.Location, Failure: c.Failure,
	}
	if c.Status == coordinator.Completed && !isSavepoint(c.Kind) {
		w.Location = path(c.ID)
	}
	for i := range c.Vertices {
		v := &c.Vertices[i]
		d := &weirpb.CheckpointVertex{Vertex: g.Vertices[i].ID, Acknowledged: int32(v.Acknowledged)}
		for k := range v.Subtasks {
			s := &v.Subtasks[k]
			delay := int64(unknown)
			if s.StartDelay >= 0 {
				delay = s.StartDelay.Milliseconds()
			}
			d.Subtasks = append(d.Subtasks, &weirpb.CheckpointSubtask{
				Index: int32(k), Ack: millis(s.Acked), StateBytes: s.StateBytes, AddedBytes: s.AddedBytes,
				AlignMillis: s.Timing.Align.Milliseconds(), SyncMillis: s.Timing.Sync.Milliseconds(),
				AsyncMillis: s.Timing.Async.Milliseconds(), StartDelayMillis: delay,
			})
		}
		w.Vertices = append(w.Vertices, d)
	}
	return w
}

func statusOf(s coordinator.Status) string {
	switch s {
	case coordinator.Completed:
		return "COMPLETED"
	case coordinator.Failed:
		return "FAILED"
	case coordinator.InProgress:
	}
	return "IN_PROGRESS"
}

// typeOf is Flink's name for a kind: a savepoint that ends the job is a synchronous one.
func typeOf(k checkpoint.Kind) string {
	switch k {
	case checkpoint.Savepoint:
		return "SAVEPOINT"
	case checkpoint.Terminal:
		return "SYNC_SAVEPOINT"
	case checkpoint.Periodic, checkpoint.Final, checkpoint.Suspend:
	}
	return "CHECKPOINT"
}
