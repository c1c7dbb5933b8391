// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import "github.com/weir-stream/weir/internal/rpc/weirpb"

// statistics are those of one figure over checkpoints or subtasks; percentiles of nothing are NaN.
type statistics struct {
	Min  int64  `json:"min"`
	Max  int64  `json:"max"`
	Avg  int64  `json:"avg"`
	P50  number `json:"p50"`
	P90  number `json:"p90"`
	P95  number `json:"p95"`
	P99  number `json:"p99"`
	P999 number `json:"p999"`
}

func statisticsOf(values []int64) statistics {
	s := sorted(values)
	at := func(p float64) number { return number(percentile(s, p)) }
	st := statistics{P50: at(50), P90: at(90), P95: at(95), P99: at(99), P999: at(99.9)}
	if len(s) == 0 {
		return st
	}
	var sum int64
	for _, v := range s {
		sum += v
	}
	st.Min, st.Max, st.Avg = s[0], s[len(s)-1], sum/int64(len(s))
	return st
}

// checkpointSummary is over the completed checkpoints that are remembered.
type checkpointSummary struct {
	CheckpointedSize statistics `json:"checkpointed_size"`
	StateSize        statistics `json:"state_size"`
	Duration         statistics `json:"end_to_end_duration"`
	Buffered         statistics `json:"alignment_buffered"`
	ProcessedData    statistics `json:"processed_data"`
	PersistedData    statistics `json:"persisted_data"`
}

func (v *view) summarize(history []*weirpb.CheckpointDetail) checkpointSummary {
	var sizes, states, durations, zeros []int64
	for _, c := range history {
		if c.Status == checkpointCompleted {
			sizes, states = append(sizes, c.AddedBytes), append(states, c.StateBytes)
			durations, zeros = append(durations, v.checkpointDuration(c)), append(zeros, 0)
		}
	}
	// In-flight data is neither buffered nor stored by aligned checkpoints.
	none := statisticsOf(zeros)
	return checkpointSummary{
		CheckpointedSize: statisticsOf(sizes), StateSize: statisticsOf(states), Duration: statisticsOf(durations),
		Buffered: none, ProcessedData: none, PersistedData: none,
	}
}

// subtasksSummary is over the subtasks of a vertex that have acknowledged.
type subtasksSummary struct {
	CheckpointedSize statistics       `json:"checkpointed_size"`
	StateSize        statistics       `json:"state_size"`
	Duration         statistics       `json:"end_to_end_duration"`
	Checkpoint       durationSummary  `json:"checkpoint_duration"`
	Alignment        alignmentSummary `json:"alignment"`
	StartDelay       statistics       `json:"start_delay"`
}

type durationSummary struct {
	Sync  statistics `json:"sync"`
	Async statistics `json:"async"`
}

type alignmentSummary struct {
	Buffered  statistics `json:"buffered"`
	Processed statistics `json:"processed"`
	Persisted statistics `json:"persisted"`
	Duration  statistics `json:"duration"`
}

func summarizeSubtasks(c *weirpb.CheckpointDetail, subtasks []*weirpb.CheckpointSubtask) subtasksSummary {
	over := func(figure func(*weirpb.CheckpointSubtask) int64) statistics {
		var values []int64
		for _, s := range subtasks {
			if s.Ack > 0 {
				values = append(values, figure(s))
			}
		}
		return statisticsOf(values)
	}
	none := over(func(*weirpb.CheckpointSubtask) int64 { return 0 })
	return subtasksSummary{
		CheckpointedSize: over((*weirpb.CheckpointSubtask).GetAddedBytes),
		StateSize:        over((*weirpb.CheckpointSubtask).GetStateBytes),
		Duration:         over(func(s *weirpb.CheckpointSubtask) int64 { return max(0, s.Ack-c.Trigger) }),
		Checkpoint: durationSummary{
			Sync: over((*weirpb.CheckpointSubtask).GetSyncMillis), Async: over((*weirpb.CheckpointSubtask).GetAsyncMillis),
		},
		Alignment: alignmentSummary{
			Buffered: none, Processed: none, Persisted: none, Duration: over((*weirpb.CheckpointSubtask).GetAlignMillis),
		},
		StartDelay: over((*weirpb.CheckpointSubtask).GetStartDelayMillis),
	}
}
