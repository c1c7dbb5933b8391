// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/restclient"
	"github.com/weir-stream/weir/internal/rpc/rpctest"
)

var (
	chaosSeed     = flag.Uint64("chaos.seed", 0, "seed of the faults of TestChaos; 0 takes another one each time")
	chaosDuration = flag.Duration("chaos.duration", 0, "how long TestChaos goes on; 0 for chaosFaults")
)

const (
	// chaosFaults is the number of faults where no duration is given.
	chaosFaults = 24
	// chaosEvents, at chaosRate, are a job that runs for as long as a few faults take.
	chaosEvents, chaosRate = 80_000, 4000
	// soakTaskManagers have two slots each, and a job two subtasks: one may be away.
	soakTaskManagers = 3
	// pauseMax is the longest stop of a process or cut of the network: past heartbeat.timeout.
	pauseMax = 2500 * time.Millisecond
	// gapMax is the longest time between two faults, restMax how long a job may take to end when they are over.
	gapMax  = 2500 * time.Millisecond
	restMax = 2 * time.Minute
)

// TestChaos kills, stops and cuts off the parts of a cluster at random, under two jobs that write exactly once.
func TestChaos(t *testing.T) {
	t.Parallel()
	seed := *chaosSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d: -chaos.seed=%[1]d repeats the faults, if not the moments at which they meet the work", seed)
	s := newSoak(t, rand.New(rand.NewPCG(seed, 1)))
	begun := time.Now()
	for !s.enough(begun) {
		s.fault()
		s.wait(time.Duration(s.random.Int64N(int64(gapMax))))
		s.look()
	}
	s.settle()
	t.Logf("%d faults in %v: %v; %d jobs came to their end", s.faults, time.Since(begun).Round(time.Second), s.counts, s.finished)
}

// soak is a cluster with faults.
type soak struct {
	*cluster
	random *rand.Rand
	proxy  *rpctest.Proxy
	jobs   [2]soakJob
	// faults counts them, counts by name; story tells when which came.
	faults, finished int
	counts           map[string]int
	begun            time.Time
	story            []string
	// ends are what is still to be undone, soonest first.
	ends []pending
}

type soakJob struct {
	id, out string
	number  int
}

// pending is the end of a fault.
type pending struct {
	at time.Time
	do func()
}

// newSoak starts the cluster: TaskManagers reach the JobManager at another loopback address, where a proxy listens.
func newSoak(t *testing.T, random *rand.Rand) *soak {
	t.Helper()
	port := freePort(t)
	proxy, err := rpctest.NewProxy("tcp", "127.0.0.2:"+port, "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	s := &soak{random: random, proxy: proxy, counts: map[string]int{}, begun: time.Now()}
	s.cluster = startCluster(t, "--taskmanagers", itoa(soakTaskManagers), "--slots", "2",
		"-D", "jobmanager.rpc.address=127.0.0.2", "-D", "jobmanager.bind-host=127.0.0.1", "-D", "jobmanager.rpc.port="+port,
		"-D", "heartbeat.interval=300ms", "-D", "heartbeat.timeout=1500ms")
	t.Cleanup(func() { // before the cluster is stopped
		s.undo()
		if t.Failed() {
			t.Log(strings.Join(s.story, "\n"))
		}
	})
	s.timeout = time.Second // faults go on while a JobManager is stopped
	for i := range s.jobs {
		s.submitNext(i)
	}
	return s
}

// freePort finds a port that is free on all of loopback.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (s *soak) submitNext(i int) {
	s.t.Helper()
	j := &s.jobs[i]
	j.number++
	j.out = fmt.Sprintf("out-%d-%d", i, j.number)
	j.id = s.submit(load(s.t), "-p", "2", "--", "--events", itoa(chaosEvents), "--rate", itoa(chaosRate), "--out", j.out)
	s.tell("job %s into %s", j.id, j.out)
}

func (s *soak) tell(format string, args ...any) {
	s.story = append(s.story, fmt.Sprintf("%8.3f  ", time.Since(s.begun).Seconds())+fmt.Sprintf(format, args...))
}

// enough tells whether there were enough faults.
func (s *soak) enough(begun time.Time) bool {
	if s.process.ended() {
		s.t.Fatalf("cluster up has ended:\n%s", s.process.text())
	}
	if s.t.Failed() {
		return true
	}
	if *chaosDuration > 0 {
		return time.Since(begun) >= *chaosDuration
	}
	return s.faults >= chaosFaults
}

// fault is the next one. All draws are made whatever there is, so that a seed gives the same sequence.
func (s *soak) fault() {
	s.t.Helper()
	what, which := s.random.IntN(10), s.random.IntN(1<<20)
	k := []kind{executor, taskManager, jobMaster, jobManager}[s.random.IntN(4)]
	pause := time.Duration(s.random.Int64N(int64(pauseMax)))
	switch {
	case what < 5:
		s.victim(k, which, func(p proc) {
			s.note("kill "+string(k), p.pid, 0)
			send(s.t, p, syscall.SIGKILL)
		})
	case what < 8:
		s.victim(k, which, func(p proc) {
			s.note("stop "+string(k), p.pid, pause)
			send(s.t, p, syscall.SIGSTOP)
			s.later(pause, func() {
				if alive(p.pid) {
					send(s.t, p, syscall.SIGCONT)
				}
			})
		})
	case what < 9:
		s.note("cut", 0, pause)
		s.proxy.Cut()
		s.later(pause, s.proxy.Resume)
	default:
		s.note("freeze", 0, pause)
		s.proxy.Freeze()
		s.later(pause, s.proxy.Resume)
	}
}

// victim picks a process of a kind; where there is none just now, there is no fault.
func (s *soak) victim(k kind, which int, do func(p proc)) {
	s.t.Helper()
	if all := s.processes(k); len(all) > 0 {
		do(all[which%len(all)])
	}
}

func (s *soak) note(what string, pid int, pause time.Duration) {
	s.faults++
	s.counts[what]++
	s.tell("%s %d for %v", what, pid, pause.Round(time.Millisecond))
}

func (s *soak) later(d time.Duration, do func()) {
	s.ends = append(s.ends, pending{time.Now().Add(d), do})
	slices.SortStableFunc(s.ends, func(a, b pending) int { return a.at.Compare(b.at) })
}

// wait lets time pass, and ends the faults that are over meanwhile.
func (s *soak) wait(d time.Duration) {
	for end := time.Now().Add(d); ; {
		for len(s.ends) > 0 && !s.ends[0].at.After(time.Now()) {
			s.ends[0].do()
			s.ends = s.ends[1:]
		}
		next := end
		if len(s.ends) > 0 && s.ends[0].at.Before(end) {
			next = s.ends[0].at
		}
		if !time.Now().Before(end) {
			return
		}
		time.Sleep(time.Until(next))
	}
}

// undo ends all faults that are not over.
func (s *soak) undo() {
	for _, e := range s.ends {
		e.do()
	}
	s.ends = nil
}

// look compares what jobs that have ended have left, and submits others in their place.
func (s *soak) look() {
	s.t.Helper()
	for i := range s.jobs {
		if p := s.progress(s.jobs[i].id); p != nil && p.Ended() {
			s.check(i)
			s.calm() // a client is no part of what is tested here
			s.submitNext(i)
		}
	}
}

// calm ends the faults, and waits until the cluster is whole again.
func (s *soak) calm() {
	s.t.Helper()
	s.undo()
	eventually(s.t, "all TaskManagers are there", func() bool {
		var o struct {
			TaskManagers int `json:"taskmanagers"`
		}
		err := s.api(func(ctx context.Context, k *restclient.Client) error { return k.Get(ctx, "/overview", &o) })
		return err == nil && o.TaskManagers == soakTaskManagers
	}, nil)
}

func (s *soak) check(i int) {
	s.t.Helper()
	j := s.jobs[i]
	eventuallyIn(s.t, restMax, "job "+j.id+" ends", func() bool {
		p := s.progress(j.id)
		if p != nil && p.Ended() && p.State != "FINISHED" {
			s.t.Fatalf("job %s is %s: %s", j.id, p.State, p.Failure)
		}
		return p != nil && p.Ended()
	}, func() string { return fmt.Sprintf("%+v", s.progress(j.id)) })
	compareLoad(s.t, rows(s.t, s.cluster.out(j.out)), chaosEvents, 1000)
	s.finished++
	s.tell("job %s has ended", j.id)
}

// settle lets all jobs come to their end.
func (s *soak) settle() {
	s.t.Helper()
	s.undo()
	for i := range s.jobs {
		s.check(i)
	}
}
