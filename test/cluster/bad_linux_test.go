// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/weir-stream/weir/internal/restclient"
)

// TestBadPrograms submits what can't run, by the command line and past it: each is refused where it can be known, with
// what is to be done, and leaves nothing behind.
func TestBadPrograms(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--slots", "2", "-D", "client.timeout=2s")
	odd := program(t, "test/cluster/programs/odd")
	text := c.out("text")
	if err := os.WriteFile(text, []byte("no program\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		program string
		args    []string
		code    int
		client  []string
		// cluster is what the REST API says to who has not looked before.
		cluster []string
	}{
		{program(t, "test/cluster/programs/mute"), nil, 1, []string{"not a job program of Weir"}, []string{"not a job program of Weir"}},
		{program(t, "test/cluster/programs/crash"), nil, 1, []string{"no configuration at all"}, []string{"no configuration at all"}},
		{foreign(t, c.out("foreign")), nil, 1, []string{"for another platform", runtime.GOARCH}, []string{"program is for", "GOARCH=" + runtime.GOARCH}},
		{text, nil, 1, []string{"text"}, []string{"program"}},
		{odd, []string{"--how", "endless"}, 1, []string{"has not answered within 2s"}, []string{"has not answered within 2s"}},
		{odd, []string{"--how", "error"}, 2, []string{"there is no such thing"}, []string{"there is no such thing"}},
		{odd, []string{"--bogus"}, 2, []string{"unknown flag --bogus"}, []string{"unknown flag --bogus"}},
	} {
		args := append([]string{"run", "-D", "client.timeout=2s", tt.program, "--"}, tt.args...)
		c.weir(args...).wants(t, tt.code, tt.client...)
		err := c.api(func(ctx context.Context, k *restclient.Client) error {
			return submitBlindly(ctx, k, tt.program, tt.args)
		})
		if err == nil {
			t.Errorf("%s %v: accepted by REST", filepath.Base(tt.program), tt.args)
			continue
		}
		for _, part := range tt.cluster {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s %v: the answer of REST lacks %q: %v", filepath.Base(tt.program), tt.args, part, err)
			}
		}
	}
	c.quiet()
	c.weir("list", "--all").wants(t, 0, "no jobs")
}

// submitBlindly uploads and runs a program without a look at what it describes.
func submitBlindly(ctx context.Context, k *restclient.Client, program string, args []string) error {
	f, err := os.Open(program)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	id, err := k.Upload(ctx, filepath.Base(program), f)
	if err != nil {
		return err
	}
	_, err = k.Run(ctx, id, restclient.Submission{Arguments: args})
	return err
}

// foreign builds a program for another platform.
func foreign(t *testing.T, to string) string {
	t.Helper()
	arch := "arm64"
	if runtime.GOARCH == arch {
		arch = "amd64"
	}
	cmd := exec.Command("go", "build", "-o", to, "../../test/cluster/programs/mute")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build for %s: %v\n%s", arch, err, out)
	}
	return to
}

// quiet waits until no process of a job is left.
func (c *cluster) quiet() {
	c.t.Helper()
	eventually(c.t, "no process of a job is left", func() bool {
		return len(c.processes(executor)) == 0 && len(c.processes(jobMaster)) == 0
	}, nil)
}

// TestOtherGraph runs a program that describes another graph each time.
func TestOtherGraph(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--slots", "2")
	c.weir("run", program(t, "test/cluster/programs/odd"), "--", "--how", "clock").wants(t, 1, "numbers of ")
	c.quiet()
}

// TestUserCodeFails panics, and leaves the process, within a step.
func TestUserCodeFails(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--slots", "2")
	odd := program(t, "test/cluster/programs/odd")
	c.weir("run", "-D", "restart-strategy.type=none", odd, "--", "--how", "panic").wants(t, 1, "it is a hundred", "nowhere")
	c.weir("run", "-D", "restart-strategy.type=none", odd, "--", "--how", "exit").wants(t, 1, "leaving at a hundred")
	c.quiet()
	c.weir("taskmanagers").wants(t, 0)
	c.weir("run", flights(t), "--", "--out", "out").wants(t, 0, "FINISHED in ")
}

// TestNotEnoughSlots has a job wait for slots that never come, and one for a TaskManager that does.
func TestNotEnoughSlots(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--slots", "1")
	c.weir("run", "-p", "3", "-D", "slot.request.timeout=1s", load(t), "--", "--out", "out").
		wants(t, 1, "2 of the 3 slots", "missing")
	c.quiet()
	id := c.submit(load(t), "-p", "2", "--", "--events", "1000", "--out", "later")
	p := c.job(id, "waits for a slot", func(p *restclient.Progress) bool { return p.SlotsMissing == 1 })
	if p.SlotsNeeded != 2 {
		t.Errorf("it needs %d slots", p.SlotsNeeded)
	}
	address, err := os.ReadFile(filepath.Join(c.data, "rpc.address"))
	if err != nil {
		t.Fatal(err)
	}
	another := begin(t, c.work, weir(t), "taskmanager", "--jobmanager", strings.TrimSpace(string(address)),
		"--data-dir", c.out("tm"), "-D", "taskmanager.memory.process.size=256mb")
	c.state(id, "FINISHED")
	compareLoad(t, rows(t, c.out("later")), 1000, 1000)
	another.signal(t, syscall.SIGTERM)
	another.wants(t, 0)
}

// TestPortInUse starts a cluster whose ports are somebody else's: it ends with an error that names the port.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"rest.port", "jobmanager.rpc.port"} {
		c := newCluster(t, "-D", key+"="+port)
		begin(t, c.work, weir(t), append([]string{"cluster", "up"}, c.up...)...).wants(t, 1, port, "address already in use")
		c.leavesNothing()
		begin(t, c.work, weir(t), append([]string{"cluster", "up", "-d"}, c.up...)...).wants(t, 1, port, "address already in use")
		c.leavesNothing()
	}
}

// TestSameID submits a job under the id of another one.
func TestSameID(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--slots", "2")
	id := c.submit(load(t), "--", "--events", "0", "--rate", "1000", "--out", "out")
	c.running(id)
	err := c.api(func(ctx context.Context, k *restclient.Client) error {
		programs, err := k.Programs(ctx)
		if err != nil {
			return err
		}
		return k.Post(ctx, "/jars/"+programs[0].ID+"/run", map[string]any{"jobId": id, "programArgsList": []string{"--out", c.out("o")}}, nil)
	})
	if err == nil || !strings.Contains(err.Error(), id) {
		t.Errorf("a second job of the id: %v", err)
	}
	c.weir("cancel", id).wants(t, 0)
	c.state(id, "CANCELED")
}

// TestClientLeaves kills clients at any time: what they had submitted goes on, what they had not is not there.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--slots", "2")
	attached := c.weir("run", load(t), "--", "--events", "3000", "--rate", "1500", "--out", "out")
	attached.says(t, "is submitted")
	attached.signal(t, syscall.SIGKILL)
	<-attached.done
	var jobs []restclient.JobOverview
	c.weir("list", "--all", "-o", "json").wants(t, 0).into(t, &jobs)
	if len(jobs) != 1 {
		t.Fatalf("jobs: %+v", jobs)
	}
	c.state(jobs[0].ID, "FINISHED")
	compareLoad(t, rows(t, c.out("out")), 3000, 1000)

	describing := c.weir("run", program(t, "test/cluster/programs/odd"), "--", "--how", "endless")
	eventually(t, "the program describes", func() bool {
		for _, p := range processes(t, c.root) {
			if strings.HasSuffix(p.args[0], "/odd") {
				return true
			}
		}
		return false
	}, nil)
	describing.signal(t, syscall.SIGKILL)
	<-describing.done
	eventually(t, "the program ends with who started it", func() bool { return len(of(processes(t, c.root), stranger)) == 0 }, nil)
	c.weir("list").wants(t, 0, "no jobs")
}

// TestUnwritableCheckpoints submits a job whose checkpoint directory can't be made.
func TestUnwritableCheckpoints(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "--slots", "2")
	if err := os.WriteFile(c.out("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.weir("run", "-D", "execution.checkpointing.dir="+c.out("file/below"), load(t), "--", "--out", "out").
		wants(t, 1, c.out("file"), "not a directory")
	c.weir("run", load(t), "--", "--out", "file").wants(t, 1, c.out("file"))
	c.quiet()
	c.weir("run", load(t), "--", "--out", "out").wants(t, 0, "FINISHED in ")
	compareLoad(t, rows(t, c.out("out")), 100_000, 1000)
}
