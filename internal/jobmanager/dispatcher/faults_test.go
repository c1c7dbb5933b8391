// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

var errFlaky = errors.New("flaky disk")

// flaky is a store whose operations fail now and then, some of them after they had their effect.
type flaky struct {
	storage.Objects
	down atomic.Bool // nothing is written
	mu   struct {
		sync.Mutex
		random *rand.Rand // nil: it is in order
	}
}

func (f *flaky) fails() (before, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.random == nil {
		return false, false
	}
	n := f.mu.random.IntN(20)
	return n == 0, n == 1
}

func (f *flaky) Create(ctx context.Context, name string, data []byte) (bool, error) {
	before, after := f.fails()
	if before || f.down.Load() {
		return false, errFlaky
	}
	created, err := f.Objects.Create(ctx, name, data)
	if after {
		return false, errFlaky
	}
	return created, err
}

func (f *flaky) List(ctx context.Context, dir string) ([]string, error) {
	if before, _ := f.fails(); before {
		return nil, errFlaky
	}
	return f.Objects.List(ctx, dir)
}

// TestDiskIsFull has the disk full when a job ends, and when one is submitted: the first waits, the second is refused.
func TestDiskIsFull(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		disk := &flaky{Objects: w.store}
		w.store = disk
		d := w.lead(1)
		id, m := w.run(d)
		w.ready(d, id)
		disk.down.Store(true)
		m.finish(&weirpb.JobResult{State: stateFinished})
		if _, err := d.Programs().Run(t.Context(), rest.Run{Program: w.program2(d)}); !errors.Is(err, errFlaky) {
			t.Errorf("submitted to a full disk: %v", err)
		}
		time.Sleep(time.Minute)
		select {
		case <-m.Done():
			t.Error("the JobMaster was let go before its result was stored")
		default:
		}
		disk.down.Store(false)
		w.await(d, id, stateFinished)
		synctest.Wait()
		w.quiet()
		if n := w.starts.Load(); n != 1 {
			t.Errorf("%d JobMasters were started", n)
		}
		must(t, d.Close(false))
	})
}

// storm is a cluster in which leaders come, go and are left behind, JobMasters die and the disk fails.
type storm struct {
	*world
	random  *rand.Rand
	disk    *flaky
	epoch   int64
	leaders []*Dispatcher // the last one leads; those before it may not know
	masters []*fakeMaster
	program string
	sure    []string        // jobs whose submission succeeded
	tried   map[string]bool // all
}

func (s *storm) leader() *Dispatcher { return s.leaders[len(s.leaders)-1] }

// succeed starts the next leader.
func (s *storm) succeed(t *testing.T) {
	t.Helper()
	for {
		s.epoch++
		d, err := Start(t.Context(), s.config(s.epoch))
		if err == nil {
			s.leaders = append(s.leaders, d)
			return
		}
		if !errors.Is(err, errFlaky) {
			t.Fatal(err)
		}
	}
}

func (s *storm) step(t *testing.T) {
	t.Helper()
	for len(s.world.masters) > 0 {
		s.masters = append(s.masters, <-s.world.masters)
	}
	pick := func() *fakeMaster {
		if len(s.masters) == 0 {
			return nil
		}
		return s.masters[s.random.IntN(len(s.masters))]
	}
	switch n := s.random.IntN(12); {
	case n < 3 && len(s.tried) < 8:
		id := fmt.Sprintf("%032x", len(s.tried))
		s.tried[id] = true
		if _, err := s.leader().Programs().Run(t.Context(), rest.Run{Program: s.program, JobID: id}); err == nil {
			s.sure = append(s.sure, id)
		} else if !errors.Is(err, errFlaky) {
			t.Fatal(err)
		}
	case n < 5:
		if m := pick(); m != nil {
			m.crash()
		}
	case n < 7:
		if m := pick(); m != nil {
			m.finish(&weirpb.JobResult{State: stateFinished, Savepoint: fmt.Sprint(m.epoch)})
		}
	case n == 7:
		if err := s.leader().Close(s.random.IntN(2) == 0); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		s.succeed(t)
	case n == 8:
		s.succeed(t) // the one before does not know
	case n == 9:
		if m := pick(); m != nil {
			m.hung.Store(true)
		}
	default:
		time.Sleep(time.Duration(s.random.IntN(3000)) * time.Millisecond)
	}
}

// TestStorm repeats storms, each from a seed. After it, each submitted job ends as its run did, once, and no process is
// left.
func TestStorm(t *testing.T) {
	t.Parallel()
	for seed := range uint64(25) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { runStorm(t, seed) })
		})
	}
}

func runStorm(t *testing.T, seed uint64) {
	t.Helper()
	w := newWorld(t)
	s := &storm{world: w, random: rand.New(rand.NewPCG(seed, 0)), disk: &flaky{Objects: w.store}, tried: map[string]bool{}}
	w.store = s.disk
	s.succeed(t)
	s.program = w.program(s.leader(), "flights").ID
	s.disk.mu.random = rand.New(rand.NewPCG(seed, 1))
	for range 80 {
		s.step(t)
	}
	s.disk.mu.Lock()
	s.disk.mu.random = nil
	s.disk.mu.Unlock()
	s.succeed(t)
	d := s.leader()
	deadline := time.Now().Add(time.Hour)
	for open := true; open && time.Now().Before(deadline); {
		open = false
		for len(w.masters) > 0 {
			(<-w.masters).finish(&weirpb.JobResult{State: stateFinished, Savepoint: "last"})
		}
		time.Sleep(time.Second)
		for _, j := range d.all() {
			open = open || !j.isEnded()
		}
	}
	all, err := d.Summaries(t.Context())
	must(t, err)
	found := map[string]*weirpb.JobSummary{}
	for _, sum := range all {
		id := sum.GetJobId()
		found[id] = sum
		want := w.mu.results[id]
		if sum.GetState() != stateFinished || sum.GetResult().GetSavepoint() != want.GetSavepoint() {
			t.Errorf("job %s ended as %v, its run as %v", id, sum, want)
		}
		if !s.tried[id] {
			t.Errorf("nobody submitted %s", id)
		}
	}
	for _, id := range s.sure {
		if found[id] == nil {
			t.Errorf("job %s is lost", id)
		}
	}
	for _, d := range s.leaders {
		if err := d.Close(false); err != nil && !errors.Is(err, ErrDeposed) {
			t.Error(err)
		}
	}
	w.quiet()
}
