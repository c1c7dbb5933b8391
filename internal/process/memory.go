// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"slices"
	"sync"
	"time"
)

// memoryWatchInterval is how often the memory of children is looked at that no cgroup holds.
const memoryWatchInterval = 200 * time.Millisecond

// MemoryWatch looks at the memory of all children that it is given, and kills those that take more than they may. One
// look at all of them wakes this process once, where a look of each child's own would wake it as often as there are
// children. Its goroutine runs while it has children. The zero MemoryWatch is ready for use.
type MemoryWatch struct {
	mu struct {
		sync.Mutex
		watched []watched
		// stop ends the goroutine, which closes stopped; nil while none runs.
		stop, stopped chan struct{}
	}
}

type watched struct {
	child    *Process
	resident *residentFile
}

// add watches a child until it is removed.
func (w *MemoryWatch) add(p *Process) {
	resident, ok := openResident(p.proc.Pid)
	if !ok {
		return // GOMEMLIMIT is all there is
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.watched = append(w.mu.watched, watched{p, resident})
	if w.mu.stop == nil {
		w.mu.stop, w.mu.stopped = make(chan struct{}), make(chan struct{})
		go w.run(w.mu.stop, w.mu.stopped) // Owner: w; remove stops it with the last child and waits for it
	}
}

// remove ends the watch of a child, if it is watched.
func (w *MemoryWatch) remove(p *Process) {
	var stopped chan struct{}
	w.mu.Lock()
	w.mu.watched = slices.DeleteFunc(w.mu.watched, func(x watched) bool {
		if x.child == p {
			x.resident.close()
		}
		return x.child == p
	})
	if len(w.mu.watched) == 0 && w.mu.stop != nil {
		close(w.mu.stop)
		stopped = w.mu.stopped
		w.mu.stop, w.mu.stopped = nil, nil
	}
	w.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
}

func (w *MemoryWatch) run(stop, stopped chan struct{}) {
	defer close(stopped)
	ticker := time.NewTicker(memoryWatchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			w.look()
		}
	}
}

// look kills the children that take too much.
func (w *MemoryWatch) look() {
	w.mu.Lock()
	all := slices.Clone(w.mu.watched)
	w.mu.Unlock()
	for _, x := range all { // the file of one that is removed meanwhile can't be read
		if bytes, ok := x.resident.read(); ok && bytes > x.child.limit.Load() {
			x.child.killForMemory()
		}
	}
}

// killForMemory kills the process, whose end tells why.
func (p *Process) killForMemory() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.mu.reaping {
		p.mu.overMemory = true
		p.killGroup()
	}
}
