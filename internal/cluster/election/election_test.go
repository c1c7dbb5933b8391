// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package election

import (
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/checkpoint/storage/faultfs"
)

func config(o storage.Objects, holder string) Config {
	return Config{Objects: o, Self: Record{Holder: holder, RPC: holder + ":6123"}, Logger: slog.New(slog.DiscardHandler)}
}

func elect(t *testing.T, c Config) *Term {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	term, err := Elect(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	return term
}

func TestOneLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := storage.Memory()
		a := elect(t, config(o, "a"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := Elect(ctx, config(o, "b")); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a second leads beside one that renews: %v", err)
		}
		r, err := Current(t.Context(), o)
		if err != nil || r.Holder != "a" || r.Epoch != 1 || r.RPC != "a:6123" {
			t.Errorf("current %+v, %v", r, err)
		}
		start := time.Now()
		a.Resign(t.Context())
		b := elect(t, config(o, "b"))
		if waited := time.Since(start); b.Epoch() != 2 || waited > pollInterval {
			t.Errorf("epoch %d after %v", b.Epoch(), waited)
		}
		b.Resign(t.Context())
	})
}

// TestStoppedLeader: one that was stopped is replaced, and notices when it goes on.
func TestStoppedLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := storage.Memory()
		a := elect(t, config(o, "a"))
		a.stop() // its renewals end, as those of a stopped process
		a.wg.Wait()
		start := time.Now()
		b := elect(t, config(o, "b"))
		if waited := time.Since(start); waited < time.Second || waited > 2*time.Second {
			t.Errorf("b led after %v", waited)
		}
		run, stop := context.WithCancel(t.Context())
		defer stop()
		a.wg.Go(func() { a.renew(run) }) // it goes on
		<-a.Done()
		select {
		case <-b.Done():
			t.Error("the new leader is deposed")
		default:
		}
		a.wg.Wait()
		a.Resign(t.Context()) // says nothing any more
		if r, err := Current(t.Context(), o); err != nil || r.Epoch != 2 || r.Resigned {
			t.Errorf("current %+v, %v", r, err)
		}
		b.Resign(t.Context())
	})
}

// TestCandidatesRace: each epoch has one holder.
func TestCandidatesRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := storage.Memory()
		terms := make(chan *Term)
		for range 5 {
			go func() { // Owner: this test, which receives a term of each
				term, err := Elect(t.Context(), config(o, "x"))
				if err != nil {
					t.Error(err)
				}
				terms <- term
			}()
		}
		for want := int64(1); want <= 5; want++ {
			term := <-terms
			if term.Epoch() != want {
				t.Errorf("epoch %d, want %d", term.Epoch(), want)
			}
			select {
			case <-terms:
				t.Error("two lead at once")
			case <-time.After(time.Minute):
			}
			term.Resign(t.Context())
		}
	})
}

// TestDeadProcess: nobody waits for the lease of a process of this machine that has ended.
func TestDeadProcess(t *testing.T) {
	machine, _ := self()
	if machine == "" {
		t.Skip("this system does not tell boots apart")
	}
	c := exec.Command("true")
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	dead := Record{Epoch: 1, Machine: machine, Process: c.Process.Pid}
	if !gone(dead, machine) {
		t.Error("a process that has ended counts as alive")
	}
	_, dead.Process = self()
	if gone(dead, machine) {
		t.Error("this process counts as dead")
	}
	dead.Process, dead.Machine = c.Process.Pid, "another boot"
	if gone(dead, machine) {
		t.Error("a process of another machine counts as dead")
	}
}

// TestPowerLoss: renewals are not durable, so a loss of power may damage the record of the leader. Epochs go on behind it.
func TestPowerLoss(t *testing.T) {
	damaged := 0
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			disk := faultfs.New()
			on := func() storage.Objects { return storage.Files(disk.View(), "/d") }
			a := elect(t, config(on(), "a"))
			time.Sleep(2500 * time.Millisecond) // some renewals
			disk = disk.Crash(seed)
			a.Resign(t.Context())
			if _, err := Current(t.Context(), on()); errors.Is(err, checkpoint.ErrCorrupt) {
				damaged++
			} else if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			b := elect(t, config(on(), "b"))
			if waited := time.Since(start); b.Epoch() != 2 || waited > 2*time.Second {
				t.Errorf("seed %d: epoch %d after %v", seed, b.Epoch(), waited)
			}
			b.Resign(t.Context())
			if r, err := Current(t.Context(), on()); err != nil || r.Holder != "b" || !r.Resigned {
				t.Errorf("seed %d: %+v, %v", seed, r, err)
			}
		})
	}
	if damaged == 0 {
		t.Error("no seed damages a record: the test shows nothing")
	}
}
