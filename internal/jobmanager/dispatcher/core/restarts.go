// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package core

import "time"

// How a JobMaster process that ended is started again.
const (
	backoffMin = 100 * time.Millisecond
	backoffMax = 10 * time.Second
	// calm is how long a JobMaster has to work until its next end counts as the first.
	calm = 30 * time.Second
	// StartsMax is how often in a row a program may fail to become a JobMaster until the job fails for it.
	StartsMax = 8
)

// Restarts decides when the JobMaster process of one job is started again. The first restart comes at once after
// backoffMin; each next one waits twice as long, up to backoffMax, until a JobMaster worked for a while.
type Restarts struct {
	backoff time.Duration
	// failed counts the starts in a row that did not make a JobMaster.
	failed int
}

// Ended tells that a process ended after it had worked as the JobMaster for some time, zero if it never did. It returns
// how long to wait before the next is started, and whether there should be none.
func (r *Restarts) Ended(worked time.Duration) (wait time.Duration, giveUp bool) {
	if worked > 0 {
		r.failed = 0
	} else {
		r.failed++
	}
	if worked >= calm {
		r.backoff = 0
	}
	r.backoff = min(max(2*r.backoff, backoffMin), backoffMax)
	return r.backoff, r.failed >= StartsMax
}

// Failed is how many starts in a row did not make a JobMaster.
func (r *Restarts) Failed() int { return r.failed }
