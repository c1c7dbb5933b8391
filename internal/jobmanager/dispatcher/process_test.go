// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// playRole makes the test binary a job program, as its arguments say. It ends with its link, as all programs do.
func playRole(args []string) int {
	if len(args) > 0 && args[0] == "panic" {
		panic("in main")
	}
	spec, router := make(chan *weirpb.RoleSpec, 1), rpc.NewRouter(slog.New(slog.DiscardHandler))
	if err := syscall.SetNonblock(3, true); err != nil {
		return 8
	}
	attached := make(chan *rpc.Attachment, 1)
	var uplink *rpc.Attachment
	link := rpc.NewLink(os.NewFile(3, "link"), func(f *weirpb.Frame) {
		if s := f.GetSpec(); s != nil {
			spec <- s
			return
		}
		if uplink == nil {
			uplink = <-attached
		}
		uplink.Receive(f)
	})
	attached <- router.Attach(link, true)
	var s *weirpb.RoleSpec
	select {
	case s = <-spec:
	case <-link.Done():
		return 9
	}
	if s.GetRole() == weirpb.Role_ROLE_DESCRIBE {
		link.Send(&weirpb.Frame{Body: &weirpb.Frame_Description{Description: &weirpb.Description{
			Jobs: []*weirpb.JobDescription{described("flights")},
		}}})
		_ = link.Close()
		return 0
	}
	return playMaster(s, router, link)
}

// playMaster is a JobMaster that runs until it is canceled. It panics then if an argument says so.
func playMaster(s *weirpb.RoleSpec, router *rpc.Router, link *rpc.Link) int {
	epoch := int64(1)
	for ; ; epoch++ {
		name := filepath.Join(s.GetJobMaster().GetCheckpointDir(), fmt.Sprint(s.GetJobId(), "-", epoch))
		if f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			_ = f.Close()
			break
		}
	}
	canceled := make(chan struct{}, 100)
	_, err := router.Bind("job/"+s.GetJobId(), func(e *weirpb.Envelope) {
		if e.GetJobRequest().GetCancel() != nil {
			canceled <- struct{}{}
		}
	})
	if err != nil {
		return 7
	}
	link.Send(&weirpb.Frame{Body: &weirpb.Frame_Ready{Ready: &weirpb.RoleReady{Protocol: rpc.Protocol}}})
	summary := &weirpb.JobSummary{JobId: s.GetJobId(), Name: s.GetName(), State: "RUNNING", Epoch: epoch, StartUnixMillis: 1}
	for {
		router.Send(&weirpb.Envelope{
			Protocol: rpc.Protocol, To: s.GetJobMaster().GetDispatcher(), JobId: s.GetJobId(),
			Body: &weirpb.Envelope_JobSummary{JobSummary: summary},
		})
		select {
		case <-canceled:
			if slices.Contains(s.GetArguments(), "panic-later") {
				panic("in the JobMaster")
			}
			summary.State, summary.Result = stateCanceled, &weirpb.JobResult{State: stateCanceled}
		case <-time.After(50 * time.Millisecond):
		case <-link.Done():
			return 0
		}
	}
}

// pids wraps the starter of real processes and tells the process ids.
func pids(started chan<- int) func(*Config) {
	return func(c *Config) {
		c.start = func(
			ctx context.Context, pc process.Config, spec *weirpb.RoleSpec, timeout time.Duration,
		) (child, *process.Answer, error) {
			p, a, err := startProcess(ctx, pc, spec, timeout)
			if err == nil {
				started <- p.(*process.Process).PID()
			}
			return p, a, err
		}
	}
}

// self uploads the test binary.
func (w *world) self(d *Dispatcher) rest.Program {
	w.t.Helper()
	name, err := os.Executable()
	must(w.t, err)
	f, err := os.Open(name)
	must(w.t, err)
	defer func() { must(w.t, f.Close()) }()
	p, err := d.Programs().Upload(w.t.Context(), "self", f)
	must(w.t, err)
	return p
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// awaitEpoch waits until a JobMaster of the job of that epoch or a later one has spoken.
func (w *world) awaitEpoch(d *Dispatcher, id string, epoch int64) {
	w.t.Helper()
	j, err := d.job(id)
	must(w.t, err)
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := j.await(ctx, func() bool { return j.mu.summary.GetEpoch() >= epoch }); err != nil {
		w.t.Fatalf("no JobMaster of epoch %d: %v; the last summary is %v", epoch, err, j.current())
	}
}

// TestProcessIsKilled kills the real process of a JobMaster: the next one has the next epoch. The leader goes, the next
// one goes on, and in the end no process is left.
func TestProcessIsKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	started := make(chan int, 100)
	d := w.lead(1, pids(started))
	p := w.self(d)
	id, err := d.Programs().Run(t.Context(), rest.Run{Program: p.ID, Dir: w.dir})
	must(t, err)
	describer := <-started
	all := []int{describer}
	for epoch := int64(1); epoch <= 3; epoch++ {
		w.awaitEpoch(d, id, epoch)
		pid := <-started
		all = append(all, pid)
		if epoch < 3 {
			must(t, syscall.Kill(pid, syscall.SIGKILL))
		}
	}
	log, err := os.Stat(filepath.Join(w.dir, id, JobMasterLog))
	if err != nil || log.IsDir() {
		t.Errorf("log of the JobMaster: %v, %v", log, err)
	}
	must(t, d.Close(false))
	d = w.lead(2, pids(started))
	w.awaitEpoch(d, id, 4)
	all = append(all, <-started)
	must(t, d.Cancel(t.Context(), id))
	w.await(d, id, stateCanceled)
	must(t, d.Close(true))
	for _, pid := range all {
		if !gone(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
}

// TestProcessThatPanics shows people the panic.
func TestProcessThatPanics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.lead(1, pids(make(chan int, 100)))
	p := w.self(d)
	_, err := d.Programs().Run(t.Context(), rest.Run{Program: p.ID, Arguments: []string{"panic"}})
	if !errors.Is(err, rest.ErrInvalid) || !strings.Contains(err.Error(), "in main") {
		t.Errorf("a program that panics in main: %v", err)
	}
	id, err := d.Programs().Run(t.Context(), rest.Run{Program: p.ID, Arguments: []string{"panic-later"}})
	must(t, err)
	w.awaitEpoch(d, id, 1)
	must(t, d.Cancel(t.Context(), id))
	w.awaitEpoch(d, id, 2)
	log, err := os.ReadFile(filepath.Join(w.dir, id, JobMasterLog))
	if err != nil || !strings.Contains(string(log), "in the JobMaster") {
		t.Errorf("log of the JobMaster: %s, %v", log, err)
	}
	must(t, d.Close(false))
}
