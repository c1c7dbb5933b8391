// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// registry finds partitions by name, and keeps consumers that come before their producer until it comes or their patience
// ends.
type registry struct {
	patience time.Duration

	mu struct {
		sync.Mutex
		partitions map[PartitionID]*Partition
		waiting    map[PartitionID][]*subscription
		// past are the partitions that were released last, so that whoever asks for one needn't wait.
		past   map[PartitionID]bool
		order  []PartitionID
		timer  *time.Timer
		closed bool
	}
}

// pastMax bounds the released partitions that a registry remembers.
const pastMax = 4096

// subscription is a consumer's wish for a channel.
type subscription struct {
	id           PartitionID
	subpartition int
	consumer     consumer
	deadline     time.Time
}

// consumer is one that asked for a channel; one of its methods is called, once, without a lock.
type consumer interface {
	attach(s *subpartition) error
	refuse(err error)
}

func newRegistry(patience time.Duration) *registry {
	r := &registry{patience: patience}
	r.mu.partitions = map[PartitionID]*Partition{}
	r.mu.waiting = map[PartitionID][]*subscription{}
	r.mu.past = map[PartitionID]bool{}
	return r
}

// add makes a partition known, and connects it to those who wait for it.
func (r *registry) add(p *Partition) error {
	r.mu.Lock()
	switch {
	case r.mu.closed:
		r.mu.Unlock()
		return ErrClosed
	case r.mu.partitions[p.id] != nil || r.mu.past[p.id]:
		r.mu.Unlock()
		return fmt.Errorf("partition %v exists already", p.id)
	}
	r.mu.partitions[p.id] = p
	waiting := r.mu.waiting[p.id]
	delete(r.mu.waiting, p.id)
	r.mu.Unlock()
	for _, s := range waiting {
		s.connect(p)
	}
	return nil
}

// remove forgets a partition that was released.
func (r *registry) remove(p *Partition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.partitions[p.id] != p {
		return
	}
	delete(r.mu.partitions, p.id)
	r.mu.past[p.id] = true
	r.mu.order = append(r.mu.order, p.id)
	if len(r.mu.order) > pastMax {
		delete(r.mu.past, r.mu.order[0])
		r.mu.order = r.mu.order[1:]
	}
}

// lookup returns a partition by name, or nil.
func (r *registry) lookup(id PartitionID) *Partition {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.partitions[id]
}

// subscribe connects a consumer now, or when its producer has come.
func (r *registry) subscribe(s *subscription) {
	r.mu.Lock()
	p := r.mu.partitions[s.id]
	var refusal error
	switch {
	case p != nil:
	case r.mu.closed:
		refusal = fmt.Errorf("partition %v: environment is closed: %w", s.id, ErrLost)
	case r.mu.past[s.id]:
		refusal = fmt.Errorf("partition %v was released: %w", s.id, ErrLost)
	default:
		s.deadline = time.Now().Add(r.patience)
		r.mu.waiting[s.id] = append(r.mu.waiting[s.id], s)
		if r.mu.timer == nil {
			r.mu.timer = time.AfterFunc(r.patience, r.expire)
		}
	}
	r.mu.Unlock()
	switch {
	case p != nil:
		s.connect(p)
	case refusal != nil:
		s.consumer.refuse(refusal)
	}
}

func (s *subscription) connect(p *Partition) {
	sub, err := p.channel(s.subpartition)
	if err == nil {
		err = s.consumer.attach(sub)
	}
	if err != nil {
		s.consumer.refuse(err)
	}
}

// cancel takes back a subscription that waits; its consumer hears nothing more, but for a call that is on its way.
func (r *registry) cancel(s *subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removeLocked(s.id, func(o *subscription) bool { return o == s })
}

func (r *registry) removeLocked(id PartitionID, remove func(*subscription) bool) {
	left := slices.DeleteFunc(r.mu.waiting[id], remove)
	if len(left) == 0 {
		delete(r.mu.waiting, id)
	} else {
		r.mu.waiting[id] = left
	}
}

// expire refuses those who have waited too long, and comes back for the next. Partitions that come meanwhile are
// connected by add: each subscription leaves the map once.
func (r *registry) expire() {
	now := time.Now()
	var late []*subscription
	var next time.Time
	r.mu.Lock()
	for id := range r.mu.waiting {
		r.removeLocked(id, func(s *subscription) bool {
			if !s.deadline.After(now) {
				late = append(late, s)
				return true
			}
			if next.IsZero() || s.deadline.Before(next) {
				next = s.deadline
			}
			return false
		})
	}
	r.mu.timer = nil
	if !next.IsZero() && !r.mu.closed {
		r.mu.timer = time.AfterFunc(next.Sub(now), r.expire)
	}
	r.mu.Unlock()
	for _, s := range late {
		s.consumer.refuse(fmt.Errorf("partition %v is unknown after %v: %w", s.id, r.patience, ErrLost))
	}
}

// close releases all partitions and refuses all who wait.
func (r *registry) close() {
	r.mu.Lock()
	if r.mu.timer != nil {
		r.mu.timer.Stop()
	}
	r.mu.closed = true
	var partitions []*Partition
	for _, p := range r.mu.partitions {
		partitions = append(partitions, p)
	}
	var waiting []*subscription
	for _, w := range r.mu.waiting {
		waiting = append(waiting, w...)
	}
	clear(r.mu.waiting)
	r.mu.Unlock()
	for _, p := range partitions {
		p.Release()
	}
	for _, s := range waiting {
		s.consumer.refuse(fmt.Errorf("partition %v: environment is closed: %w", s.id, ErrLost))
	}
}
