// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"fmt"
	"time"
)

// commits has one checkpoint committed at a time. Of those that wait, the newest counts: it holds all that the others do
// and that is not known to be committed.
type commits struct {
	// committed is the newest that is; 0 stands for any checkpoint of another run, -1 for none.
	committed     int64
	current, next *Commit
	retryAt       time.Time
	retry         backoff
	// reply is to be answered once the job ends with what it asked for.
	reply *request
}

func (k *commits) add(x Commit) {
	if x.ID <= k.committed || k.current != nil && x.ID <= k.current.ID || k.next != nil && x.ID <= k.next.ID {
		return
	}
	k.next = &x
}

// advanceCommits starts the commit that is next, or repeats one that failed.
func (c *Coordinator) advanceCommits(now time.Time) {
	k := &c.commits
	switch {
	case k.current == nil && k.next != nil:
		k.current, k.next = k.next, nil
		c.do(*k.current)
	case k.current != nil && !k.retryAt.IsZero() && !now.Before(k.retryAt):
		k.retryAt = time.Time{}
		c.do(*k.current)
	}
}

func (c *Coordinator) committed(_ time.Time, id int64) {
	k := &c.commits
	if k.current == nil || k.current.ID != id {
		return
	}
	k.committed, k.current, k.retryAt, k.retry = id, nil, time.Time{}, 0
	if id > 0 {
		c.do(NotifyCommitted{ID: id})
	}
	if c.ending != nil && c.ending.ID == id {
		if r := k.reply; r != nil {
			k.reply = nil
			c.do(Reply{Number: r.Number, ID: id, Location: c.ending.Location})
		}
		c.do(*c.ending)
	}
}

func (c *Coordinator) commitFailed(now time.Time, e CommitFailed) {
	k := &c.commits
	if k.current == nil || k.current.ID != e.ID {
		return
	}
	if e.Permanent {
		c.do(FailJob{Err: fmt.Errorf("commit of checkpoint %d: %w", e.ID, e.Err), Permanent: true})
		return
	}
	k.retryAt = now.Add(k.retry.next())
}
