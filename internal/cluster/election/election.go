// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package election has one JobManager of several lead a cluster: who makes the next record of a log does.
//
//	leader/1  leader/2  leader/3  <-- rewritten by its holder every Renew; the next is made by somebody else when this one
//	                                  did not change for Timeout, on the clock of who looks
//
// A record is made by a conditional create, so each epoch has one holder; the log works on whatever storage.Objects do, a
// shared directory or a bucket, and the same rules fit a key of etcd or a Kubernetes lease. A lease keeps nobody from
// acting: a holder that was stopped wakes up and believes that it leads. So everything a leader does carries its epoch
// and is refused once a higher one is known; the lease only says when to try.
//
// Taking the lead is durable, holding it is not: after a loss of power nobody leads, and all that a renewal has to do is to
// be seen by who can look while the machine of its holder runs. So a record that was being renewed then may be damaged; it
// counts like any other that does not change.
//
// Non-obvious: a process that died can't renew, so on the machine that it ran on nobody has to wait for Timeout: the
// record has its process id and what tells one boot of a machine from another.
package election

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
)

// Defaults of Config.
const (
	defaultRenew   = 300 * time.Millisecond
	defaultTimeout = time.Second
	// pollInterval is the time between two looks of who waits.
	pollInterval = 100 * time.Millisecond
	// callTimeout bounds one look at the log.
	callTimeout = 10 * time.Second
	// leaderDir is where the log is.
	leaderDir = "leader"
)

// Record is what a leader says of itself.
type Record struct {
	Epoch int64 `json:"epoch"`
	// Holder says who it is, for people; RPC and REST are where it is reached.
	Holder string `json:"holder"`
	RPC    string `json:"rpc"`
	REST   string `json:"rest"`
	// Machine and Process tell whether the holder's process is gone, where that can be seen.
	Machine string `json:"machine"`
	Process int    `json:"process"`
	// Beat changes while the holder lives. Resigned says that it will not act any more.
	Beat     int64 `json:"beat"`
	Resigned bool  `json:"resigned,omitempty"`
	// Nonce makes the records of two candidates differ, whatever else they say.
	Nonce string `json:"nonce"`
}

// Config says who takes part in which election.
type Config struct {
	Objects storage.Objects
	// Self is the record to be made, without epoch and beat.
	Self Record
	// Renew and Timeout are 300 ms and 1 s by default.
	Renew, Timeout time.Duration
	Logger         *slog.Logger
}

// Term is the time during which the caller leads.
type Term struct {
	config Config
	log    storage.Log
	record Record
	done   chan struct{} // closed when it is over
	stop   context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
}

func logOf(o storage.Objects) storage.Log { return storage.NewLog(o, leaderDir, "leader") }

// Current returns the newest record; its epoch is zero where nobody has led yet.
func Current(ctx context.Context, o storage.Objects) (Record, error) {
	return current(ctx, logOf(o))
}

// current returns no more than the epoch of a record that is damaged.
func current(ctx context.Context, l storage.Log) (Record, error) {
	var r Record
	n, err := l.Look(ctx)
	if err == nil && n > 0 {
		err = l.Read(ctx, n, &r)
	}
	if err != nil {
		return Record{Epoch: n}, fmt.Errorf("leader record: %w", err)
	}
	return r, nil
}

// Elect waits until the caller leads, or for the end of ctx.
func Elect(ctx context.Context, c Config) (*Term, error) {
	c.Renew, c.Timeout = cmp.Or(c.Renew, defaultRenew), cmp.Or(c.Timeout, defaultTimeout)
	c.Self.Machine, c.Self.Process = self()
	l := logOf(c.Objects)
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	var seen observed
	for first := true; ; first = false {
		t, other, err := attempt(ctx, c, l, &seen)
		if t != nil {
			return t, nil
		}
		switch {
		case err != nil && ctx.Err() == nil:
			c.Logger.WarnContext(ctx, "leader election", "error", err)
		case first && err == nil:
			c.Logger.InfoContext(ctx, "another JobManager leads; standing by", "leader", other.Holder, "epoch", other.Epoch)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// attempt makes the next record if the newest is nobody's any more.
func attempt(ctx context.Context, c Config, l storage.Log, seen *observed) (*Term, Record, error) {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	newest, err := current(call, l)
	if err != nil && !errors.Is(err, checkpoint.ErrCorrupt) {
		return nil, newest, err
	}
	if !seen.expired(newest, time.Now(), c.Timeout) && !gone(newest, c.Self.Machine) {
		return nil, newest, nil
	}
	mine := c.Self
	mine.Epoch, mine.Beat, mine.Nonce = newest.Epoch+1, 1, rand.Text()
	won, err := l.Append(call, mine.Epoch, mine)
	if err != nil || !won {
		return nil, newest, err
	}
	// Old records are of no use; the newest stays, so that epochs never repeat.
	err = errors.Join(l.Prune(call, mine.Epoch-1), storage.SweepTemporary(call, c.Objects, leaderDir))
	if err != nil {
		c.Logger.WarnContext(ctx, "old leader records stay", "error", err)
	}
	t := &Term{config: c, log: l, record: mine, done: make(chan struct{})}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	t.stop = stop
	t.wg.Go(func() { t.renew(run) })
	return t, newest, nil
}

// observed is what a candidate has seen of the leader, and since when that has not changed.
type observed struct {
	record Record
	since  time.Time
}

// expired takes what is seen now, and tells whether it is nobody's any more.
func (o *observed) expired(r Record, now time.Time, timeout time.Duration) bool {
	if r.Epoch == 0 || r.Resigned {
		return true
	}
	if r != o.record || o.since.IsZero() {
		o.record, o.since = r, now
		return false
	}
	return now.Sub(o.since) >= timeout
}

// gone tells whether the holder was a process of this machine that has ended.
func gone(r Record, machine string) bool {
	return r.Epoch > 0 && machine != "" && r.Machine == machine && r.Process > 0 && !alive(r.Process)
}

// renew shows that the holder lives, until it is told to stop or finds that somebody else leads.
func (t *Term) renew(ctx context.Context) {
	ticker := time.NewTicker(t.config.Renew)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := t.beat(ctx)
		switch {
		case errors.Is(err, storage.ErrDeposed):
			t.config.Logger.WarnContext(ctx, "another JobManager leads now", "error", err)
			close(t.done)
			return
		case err != nil && ctx.Err() == nil:
			// Somebody else takes over where this lasts; until then nothing is lost by going on.
			t.config.Logger.ErrorContext(ctx, "leader record not renewed", "error", err)
		}
	}
}

// beat changes the record, unless there is a newer one.
func (t *Term) beat(ctx context.Context) error {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	newest, err := t.log.Look(call)
	if err != nil {
		return err
	}
	if newest > t.record.Epoch {
		return fmt.Errorf("leader epoch %d: %w: epoch %d exists", t.record.Epoch, storage.ErrDeposed, newest)
	}
	t.record.Beat++
	return t.log.Refresh(call, t.record.Epoch, t.record)
}

// Epoch is that of the term.
func (t *Term) Epoch() int64 { return t.record.Epoch }

// Done is closed when another leads.
func (t *Term) Done() <-chan struct{} { return t.done }

// Resign ends the term: others need not wait. Whatever the leader did must have ended.
func (t *Term) Resign(ctx context.Context) {
	t.once.Do(func() {
		t.stop()
		t.wg.Wait()
		select {
		case <-t.done:
			return
		default:
		}
		t.record.Resigned = true
		if err := t.beat(ctx); err != nil {
			t.config.Logger.WarnContext(ctx, "the end of leading is not on record", "error", err)
		}
	})
}
