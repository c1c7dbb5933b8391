// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// standby is a JobManager that shares the work with others: one of them leads.
type standby struct {
	*command
	data string
}

// startStandby starts one. All share the records of leaders, the jobs and the checkpoints below the cluster's directory.
func (c *cluster) startStandby(name, port string) *standby {
	c.t.Helper()
	s := &standby{data: filepath.Join(c.data, "jobmanager-"+name)}
	s.command = begin(c.t, c.work, weir(c.t), "jobmanager", "--data-dir", s.data, "-D", "jobmanager.rpc.port="+port,
		"-D", "rest.port=0", "-D", "high-availability.storageDir="+filepath.Join(c.data, "ha"),
		"-D", "execution.checkpointing.dir="+filepath.Join(c.data, "checkpoints"),
		"-D", "heartbeat.interval=300ms", "-D", "heartbeat.timeout=1500ms")
	return s
}

// leads waits until one leads, and has clients ask it.
func (c *cluster) leads(s *standby) {
	c.t.Helper()
	eventually(c.t, s.data+" leads", func() bool {
		_, err := os.Stat(filepath.Join(s.data, "rest.address"))
		return err == nil
	}, s.text)
	c.client = []string{"--data-dir", s.data}
	c.ask = s.data
}

// TestTwoJobManagers kills the leader of two, then stops the other one and lets it go on when it has been replaced. The
// tasks of the job run on through all of that.
func TestTwoJobManagers(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	ports := [2]string{freePort(t), freePort(t)}
	first := c.startStandby("a", ports[0])
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.logs())
		}
	})
	c.leads(first)
	second := c.startStandby("b", ports[1])
	worker := begin(t, c.work, weir(t), "taskmanager", "--jobmanager", "127.0.0.1:"+ports[0]+",127.0.0.1:"+ports[1],
		"--data-dir", filepath.Join(c.data, "worker"), "-D", "taskmanager.numberOfTaskSlots=2",
		"-D", "taskmanager.memory.process.size=256mb", "-D", "heartbeat.interval=300ms", "-D", "heartbeat.timeout=1500ms")
	const events = 60_000
	id := c.submit(load(t), "-p", "2", "--", "--events", itoa(events), "--rate", "3000", "--out", "out")
	c.running(id)
	tasks := c.attempts(id)
	second.says(t, "standing by")

	first.signal(t, syscall.SIGKILL)
	<-first.done
	c.leads(second)
	c.commitsGoOn(id)

	third := c.startStandby("c", ports[0])
	third.says(t, "standing by")
	second.signal(t, syscall.SIGSTOP)
	c.leads(third)
	c.commitsGoOn(id)
	second.signal(t, syscall.SIGCONT)
	second.wants(t, 1, "another JobManager leads now")
	c.commitsGoOn(id)
	if now := c.attempts(id); !maps.Equal(tasks, now) {
		t.Errorf("tasks were restarted: %v, before %v", now, tasks)
	}
	c.state(id, "FINISHED")
	compareLoad(t, rows(t, c.out("out")), events, 1000)
	for _, p := range []*command{worker, third.command} {
		p.signal(t, syscall.SIGTERM)
		p.wants(t, 0)
	}
}

// commitsGoOn waits until new output of a job is committed.
func (c *cluster) commitsGoOn(id string) {
	c.t.Helper()
	files := committedFiles(c.t, c.out("out"))
	eventuallyIn(c.t, commitsWithin, "job "+id+" commits output", func() bool { return committedFiles(c.t, c.out("out")) > files+2 }, nil)
}
