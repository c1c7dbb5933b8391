// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package role_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// counted is the highest sum of each key in the results, added up: how many numbers were counted, each once.
func (c *cluster) counted() (total int64) {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(c.dir, "out", "[^._]*"))
	if err != nil {
		c.t.Fatal(err)
	}
	highest, seen := map[int64]int64{}, map[sum]bool{}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			c.t.Fatal(err)
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var s sum
			if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
				c.t.Fatal(err)
			}
			if seen[s] {
				c.t.Errorf("%s has %v a second time", name, s)
			}
			seen[s] = true
			highest[s.Key] = max(highest[s.Key], s.N)
		}
		if err := f.Close(); err != nil {
			c.t.Fatal(err)
		}
	}
	for _, n := range highest {
		total += n
	}
	if len(seen) != int(total) {
		c.t.Errorf("%d results for %d numbers", len(seen), total)
	}
	return total
}

// A job runs to its end with its JobMaster in one process and its tasks in two others.
func TestJobOfProcesses(t *testing.T) {
	c := newCluster(t, "--n", "1000")
	p, ready := c.lead(nil)
	if d := ready.GetJob(); ready.GetVersion() != "v1" || d.GetSlotsNeeded() != 2 || len(d.GetDirectories()) != 1 {
		t.Errorf("ready: %v", ready)
	}
	last := c.await("at an end", ended)
	if r := last.GetResult(); r.GetState() != "FINISHED" || r.GetError() != "" || last.GetTasks()["FINISHED"] != 4 || last.GetEndUnixMillis() == 0 {
		t.Errorf("%v", last)
	}
	if n := c.counted(); n != 1000 {
		t.Errorf("%d numbers were counted", n)
	}
	c.await("said again", ended)
	detail := c.ask(&weirpb.JobRequest{Body: &weirpb.JobRequest_Describe{Describe: &weirpb.DescribeJob{}}}).GetDetail()
	if detail.GetState() != "FINISHED" || len(detail.GetVertices()) != 2 || detail.GetCheckpoints().GetCompleted() == 0 ||
		detail.GetConfig().GetCheckpointDir() != filepath.Join(c.dir, "checkpoints") || detail.GetConfig().GetIntervalMillis() != 100 {
		t.Errorf("%v", detail)
	}
	if a := c.ask(&weirpb.JobRequest{Body: &weirpb.JobRequest_Checkpoint{Checkpoint: &weirpb.TakeCheckpoint{}}}); a.GetError() == "" {
		t.Errorf("a job that has ended takes a checkpoint: %v", a)
	}
	p.Stop(0)
	// Whoever asks for that run later hears how it ended.
	c.lead(func(s *weirpb.RoleSpec) { s.JobMaster.Resume = true })
	if again := c.await("at an end", func(s *weirpb.JobSummary) bool { return ended(s) && s.GetTasks() == nil }); again.GetResult().GetState() != "FINISHED" {
		t.Errorf("%v", again)
	}
}

// A JobMaster process that is killed is followed by another, which goes on with the run; a stop with a savepoint ends it.
func TestJobMasterKilledAndStopped(t *testing.T) {
	c := newCluster(t, "--rate", "2000")
	p, _ := c.lead(nil)
	first := c.await("running", running)
	if a := c.ask(&weirpb.JobRequest{Body: &weirpb.JobRequest_Checkpoint{Checkpoint: &weirpb.TakeCheckpoint{Full: true}}}); a.GetCheckpoint() == 0 {
		t.Fatalf("checkpoint on demand: %v", a)
	}
	p.Kill()
	<-p.Done()
	c.lead(func(s *weirpb.RoleSpec) { s.JobMaster.Resume = true })
	second := c.await("running again", func(s *weirpb.JobSummary) bool { return s.GetEpoch() > first.GetEpoch() && running(s) })
	if second.GetJobId() != jobID || second.GetEpoch() != first.GetEpoch()+1 {
		t.Errorf("%v follows %v", second, first)
	}
	if a := c.ask(&weirpb.JobRequest{Body: &weirpb.JobRequest_Savepoint{Savepoint: &weirpb.TakeSavepoint{}}}); a.GetError() != "" ||
		!strings.HasPrefix(a.GetLocation(), filepath.Join(c.dir, "savepoints")) {
		t.Errorf("savepoint: %v", a)
	}
	stopped := c.ask(&weirpb.JobRequest{Body: &weirpb.JobRequest_Savepoint{
		Savepoint: &weirpb.TakeSavepoint{Dir: filepath.Join(c.dir, "stop"), Stop: true},
	}})
	last := c.await("at an end", ended)
	if r := last.GetResult(); r.GetState() != "FINISHED" || r.GetSavepoint() != stopped.GetLocation() || stopped.GetLocation() == "" {
		t.Errorf("stopped as %v with %v", last, stopped)
	}
	if c.counted() == 0 {
		t.Error("nothing was counted")
	}
}

// Cancel and suspend end a job, each in its way.
func TestJobCanceledAndSuspended(t *testing.T) {
	for state, request := range map[string]*weirpb.JobRequest{
		"CANCELED":  {Body: &weirpb.JobRequest_Cancel{Cancel: &weirpb.CancelJob{}}},
		"SUSPENDED": {Body: &weirpb.JobRequest_Suspend{Suspend: &weirpb.SuspendJob{}}},
	} {
		t.Run(state, func(t *testing.T) {
			c := newCluster(t, "--rate", "100")
			c.lead(nil)
			c.await("running", running)
			if a := c.ask(request); a.GetError() != "" {
				t.Errorf("%v", a)
			}
			if last := c.await("at an end", ended); last.GetResult().GetState() != state {
				t.Errorf("%v", last)
			}
		})
	}
}

// A run that begins from a savepoint has its key groups, which only the JobMaster reads: the executors, which describe the
// job with others, get them with their tasks. With the state of both runs each number is counted once.
func TestKeyGroupsOfRestoredState(t *testing.T) {
	c := newCluster(t, "--rate", "2000")
	c.lead(func(s *weirpb.RoleSpec) { s.Settings["pipeline.max-parallelism"] = "7" })
	c.await("running", running)
	stop := &weirpb.JobRequest{Body: &weirpb.JobRequest_Savepoint{Savepoint: &weirpb.TakeSavepoint{Stop: true}}}
	from := c.ask(stop).GetLocation()
	if last := c.await("at an end", ended); last.GetResult().GetState() != "FINISHED" || from == "" {
		t.Fatalf("stopped as %v in %q", last, from)
	}
	before := c.counted()
	c.job = strings.Repeat("a", len(jobID))
	c.lead(func(s *weirpb.RoleSpec) { s.JobMaster.Restore = from })
	c.await("running", func(s *weirpb.JobSummary) bool { return s.GetJobId() == c.job && running(s) })
	detail := c.ask(&weirpb.JobRequest{Body: &weirpb.JobRequest_Describe{Describe: &weirpb.DescribeJob{}}}).GetDetail()
	if detail.GetMaxParallelism() != 7 || !detail.GetCheckpoints().GetLatestRestored().GetSavepoint() {
		t.Errorf("%d key groups, restored %v", detail.GetMaxParallelism(), detail.GetCheckpoints().GetLatestRestored())
	}
	c.ask(stop)
	c.await("at an end", func(s *weirpb.JobSummary) bool { return s.GetJobId() == c.job && ended(s) })
	if after := c.counted(); after <= before {
		t.Errorf("%d numbers were counted, before the restore %d", after, before)
	}
}
