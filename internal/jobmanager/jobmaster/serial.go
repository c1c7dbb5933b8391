// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobmaster

import "sync"

// serial runs functions one after the other on a goroutine of its own, in the order in which they are given.
type serial struct {
	wg sync.WaitGroup
	mu struct {
		sync.Mutex
		queue   []func()
		running bool
	}
}

// do queues f. The goroutine lives only while there is something to do.
func (s *serial) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.queue = append(s.mu.queue, f)
	if !s.mu.running {
		s.mu.running = true
		s.wg.Go(s.run)
	}
}

func (s *serial) run() {
	for {
		s.mu.Lock()
		if len(s.mu.queue) == 0 {
			s.mu.running = false
			s.mu.Unlock()
			return
		}
		f := s.mu.queue[0]
		s.mu.queue = s.mu.queue[1:]
		s.mu.Unlock()
		f()
	}
}

// wait returns when nothing is left to do; nothing must be queued any more.
func (s *serial) wait() { s.wg.Wait() }
