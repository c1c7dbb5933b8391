// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rpc

// Fence remembers the highest epoch of each job that it has seen, and refuses what a deposed leader still sends.
// The zero value has seen none. It belongs to the goroutine of its endpoint.
type Fence struct{ highest map[string]int64 }

// Admit reports whether no higher epoch of the job has been seen, and remembers this one.
func (f *Fence) Admit(job string, epoch int64) bool {
	if epoch < f.highest[job] {
		return false
	}
	if f.highest == nil {
		f.highest = map[string]int64{}
	}
	f.highest[job] = epoch
	return true
}

// Epoch is the highest epoch of the job that was seen; zero for none.
func (f *Fence) Epoch(job string) int64 { return f.highest[job] }

// Forget drops what is known of a job.
func (f *Fence) Forget(job string) { delete(f.highest, job) }
