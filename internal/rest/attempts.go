// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rest

import (
	"cmp"
	"math"
	"slices"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// ioMetrics are what Flink shows of the input and output of attempts. Bytes are those that records take between tasks.
type ioMetrics struct {
	ReadBytes            int64  `json:"read-bytes"`
	ReadBytesComplete    bool   `json:"read-bytes-complete"`
	WriteBytes           int64  `json:"write-bytes"`
	WriteBytesComplete   bool   `json:"write-bytes-complete"`
	ReadRecords          int64  `json:"read-records"`
	ReadRecordsComplete  bool   `json:"read-records-complete"`
	WriteRecords         int64  `json:"write-records"`
	WriteRecordsComplete bool   `json:"write-records-complete"`
	Backpressured        int64  `json:"accumulated-backpressured-time"`
	Idle                 int64  `json:"accumulated-idle-time"`
	Busy                 number `json:"accumulated-busy-time"`
}

func sumMetrics(attempts []*weirpb.AttemptDetail) ioMetrics {
	m := ioMetrics{ReadBytesComplete: true, WriteBytesComplete: true, ReadRecordsComplete: true, WriteRecordsComplete: true}
	for _, at := range attempts {
		if at.Metrics == nil {
			m.ReadBytesComplete, m.WriteBytesComplete = false, false
			m.ReadRecordsComplete, m.WriteRecordsComplete = false, false
			continue
		}
		m.ReadBytes += at.Metrics.BytesIn
		m.WriteBytes += at.Metrics.BytesOut
		m.ReadRecords += recordsRead(at)
		m.WriteRecords += recordsWritten(at)
		m.Backpressured += at.Metrics.BackpressuredNanos / 1e6
		m.Idle += at.Metrics.IdleNanos / 1e6
		m.Busy += number(at.Metrics.BusyNanos / 1e6)
	}
	return m
}

// recordsRead is what came into the head of the chain, recordsWritten what left its last step.
func recordsRead(at *weirpb.AttemptDetail) int64 {
	if o := at.GetMetrics().GetOperators(); len(o) > 0 {
		return o[0].RecordsIn
	}
	return 0
}

func recordsWritten(at *weirpb.AttemptDetail) int64 {
	if o := at.GetMetrics().GetOperators(); len(o) > 0 {
		return o[len(o)-1].RecordsOut
	}
	return 0
}

// endedTask tells the states in which an attempt stays.
func endedTask(state string) bool {
	return state == "FINISHED" || state == "CANCELED" || state == "FAILED"
}

// span is from when the first of some attempts was deployed until the last ended: -1 for what has not happened.
func (v *view) span(attempts []*weirpb.AttemptDetail) (start, end, duration int64) {
	start, end = math.MaxInt64, 0
	over := len(attempts) > 0
	for _, at := range attempts {
		if t := at.Timestamps["DEPLOYING"]; t > 0 {
			start = min(start, t)
		}
		if !endedTask(at.State) {
			over = false
			continue
		}
		end = max(end, at.Timestamps[at.State])
	}
	if start == math.MaxInt64 {
		return -1, -1, -1
	}
	if !over {
		end = -1
	}
	end, duration = endAndDuration(start, end, v.now)
	return start, end, duration
}

// durationStates are the states whose durations Flink shows.
var durationStates = []string{"CREATED", "SCHEDULED", "DEPLOYING", "INITIALIZING", "RUNNING"}

// statusDurations is how long an attempt was in each state, -1 for those that it was not in.
func (v *view) statusDurations(at *weirpb.AttemptDetail) map[string]int64 {
	entered := make([]int64, 0, len(at.Timestamps))
	for _, t := range at.Timestamps {
		if t > 0 {
			entered = append(entered, t)
		}
	}
	slices.Sort(entered)
	durations := make(map[string]int64, len(durationStates))
	for i, state := range durationStates {
		from := at.Timestamps[state]
		if from == 0 {
			durations[state] = -1
			continue
		}
		until := v.now
		// The next state is the one entered next; states of one instant follow each other in the order of the list.
		for _, t := range entered {
			if t > from {
				until = t
				break
			}
		}
		for _, later := range durationStates[i+1:] {
			if at.Timestamps[later] == from {
				until = from
			}
		}
		durations[state] = max(0, until-from)
	}
	return durations
}

// aggregated are figures over subtasks.
type aggregated struct {
	Metrics        map[string]distribution `json:"metrics"`
	StatusDuration map[string]distribution `json:"status-duration"`
}

type distribution struct {
	Min    int64 `json:"min"`
	Max    int64 `json:"max"`
	Avg    int64 `json:"avg"`
	Sum    int64 `json:"sum"`
	Median int64 `json:"median"`
	P25    int64 `json:"p25"`
	P75    int64 `json:"p75"`
	P95    int64 `json:"p95"`
}

func (v *view) aggregate(attempts []*weirpb.AttemptDetail) aggregated {
	columns, durations := map[string][]int64{}, map[string][]int64{}
	for _, at := range attempts {
		m := sumMetrics([]*weirpb.AttemptDetail{at})
		for name, n := range map[string]int64{
			"read-bytes": m.ReadBytes, "write-bytes": m.WriteBytes, "read-records": m.ReadRecords,
			"write-records": m.WriteRecords, "accumulated-backpressured-time": m.Backpressured,
			"accumulated-idle-time": m.Idle, "accumulated-busy-time": int64(m.Busy),
		} {
			columns[name] = append(columns[name], n)
		}
		for state, n := range v.statusDurations(at) {
			durations[state] = append(durations[state], n)
		}
	}
	a := aggregated{Metrics: map[string]distribution{}, StatusDuration: map[string]distribution{}}
	for name, values := range columns {
		a.Metrics[name] = distributionOf(values)
	}
	for state, values := range durations {
		a.StatusDuration[state] = distributionOf(values)
	}
	return a
}

func distributionOf(values []int64) distribution {
	s := sorted(values)
	if len(s) == 0 {
		return distribution{}
	}
	var sum int64
	for _, v := range s {
		sum += v
	}
	at := func(p float64) int64 { return int64(percentile(s, p)) }
	return distribution{
		Min: s[0], Max: s[len(s)-1], Avg: sum / int64(len(s)), Sum: sum, Median: at(50), P25: at(25), P75: at(75), P95: at(95),
	}
}

func sorted[T cmp.Ordered](values []T) []T {
	s := slices.Clone(values)
	slices.Sort(s)
	return s
}

// percentile interpolates between the two values of a sorted list that are nearest to the rank p/100*(n+1).
func percentile(s []int64, p float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	rank := p / 100 * float64(len(s)+1)
	below := int(math.Floor(rank))
	switch {
	case below < 1:
		return float64(s[0])
	case below >= len(s):
		return float64(s[len(s)-1])
	}
	low, high := float64(s[below-1]), float64(s[below])
	return low + (rank-float64(below))*(high-low)
}
