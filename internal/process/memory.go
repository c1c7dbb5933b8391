// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import "time"

// memoryWatchInterval is how often the memory of a child is looked at that no cgroup holds.
const memoryWatchInterval = 200 * time.Millisecond

// watchMemory kills a child that takes more than it may, until it has ended.
func (p *Process) watchMemory() {
	ticker := time.NewTicker(memoryWatchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-ticker.C:
		}
		if resident, ok := residentBytes(p.proc.Pid); !ok || resident <= p.limit.Load() {
			continue
		}
		p.mu.Lock()
		if !p.mu.reaping {
			p.mu.overMemory = true
			p.killGroup()
		}
		p.mu.Unlock()
		return
	}
}
