// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/checkpoint/statefile"
	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/cluster/embedded"
	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobmanager/jobmaster/core"
	"github.com/weir-stream/weir/internal/taskmanager"
	"github.com/weir-stream/weir/stream"
)

// setting is how a job is run: nothing of it may show in the output.
type setting struct {
	parallelism, managers int
	unchained             bool
	rowsMax               int
	network               string
	// reuse lends strings of records that come through a socket.
	reuse       bool
	checkpoints stream.Checkpoints
	restart     *stream.Restart
	// fs is the disk of checkpoints, nil for the machine's; dir is where they go, empty for memory.
	fs  storage.FS
	dir string
	// cancelTimeout and slotTimeout are the cluster's, zero for its defaults.
	cancelTimeout, slotTimeout time.Duration
	// losesManagers says that TaskManagers are killed: silence is believed soon.
	losesManagers bool
	// leavesBehind says that tasks of the test don't end with the cluster.
	leavesBehind bool
	// inlineBytes is the size up to which state becomes no file, 0 for the default, negative for none. bufferBytes is the
	// size of each of the buffers before a file, 0 for the default.
	inlineBytes, bufferBytes int
}

func (s setting) String() string {
	return fmt.Sprintf("parallelism %d, %d TaskManagers, unchained %v, RowsMax %d, network %s, object reuse %v, checkpoints every %v, at least once %v",
		s.parallelism, s.managers, s.unchained, s.rowsMax, s.network, s.reuse, s.checkpoints.Interval, s.checkpoints.AtLeastOnce)
}

// anySetting draws one. Without failures at-least-once has no duplicates either.
func anySetting(rng *rand.Rand) setting {
	s := setting{
		parallelism: pick(rng, 1, 2, 3, 5),
		managers:    1 + rng.IntN(3),
		unchained:   rng.IntN(2) == 0,
		rowsMax:     pick(rng, 1, 7, 0),
		network:     pick(rng, "local", "tcp", "unix"),
		reuse:       rng.IntN(2) == 0,
	}
	s.checkpoints.Interval = pick(rng, 0, time.Millisecond, 20*time.Millisecond)
	s.checkpoints.AtLeastOnce = rng.IntN(4) == 0
	return s
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// heartbeat is short: figures are seen soon. Where TaskManagers are killed, which nobody but their silence tells here, it is
// believed after lossTimeout; elsewhere a machine that is busy with others must not lose any.
const (
	heartbeat   = 20 * time.Millisecond
	lossTimeout = 25 * heartbeat
	busyTimeout = time.Minute
)

// rig is a cluster that a test has for itself, with the setting that its jobs run in.
type rig struct {
	*embedded.Cluster
	t       *testing.T
	setting setting
	journal *journal
}

// newRig starts a cluster with slots for the parallelism of the setting. It ends with the test.
func newRig(t *testing.T, s setting) *rig {
	t.Helper()
	s.parallelism, s.managers = max(1, s.parallelism), max(1, s.managers)
	log := newJournal(t)
	timeout := busyTimeout
	if s.losesManagers {
		timeout = lossTimeout
	}
	c, err := embedded.Start(embedded.Config{
		TaskManagers: s.managers, SlotsPerTaskManager: (s.parallelism + s.managers - 1) / s.managers,
		Network: s.network, RowsMax: s.rowsMax, Heartbeat: heartbeat, HeartbeatTimeout: timeout,
		CheckpointDir: s.dir, FS: s.fs, Logger: log.logger(), CancelTimeout: s.cancelTimeout, SlotTimeout: s.slotTimeout,
		StateFiles: statefile.Options{InlineBytes: s.inlineBytes, BufferBytes: s.bufferBytes},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil && !(s.leavesBehind && errors.Is(err, taskmanager.ErrLeftBehind)) {
			t.Errorf("close: %v", err)
		}
	})
	return &rig{c, t, s, log}
}

// graph builds the job in the setting, with the key groups of what it is restored from.
func (r *rig) graph(build func(*stream.Env) error, o embedded.RunOptions) *graph.JobGraph {
	r.t.Helper()
	sg, err := stream.Describe(stream.Setup{Name: r.t.Name()}, func(env *stream.Env) error {
		env.Checkpoint(r.setting.checkpoints)
		if r.setting.restart != nil {
			env.Restart(*r.setting.restart)
		}
		return build(env)
	})
	if err != nil {
		r.t.Fatal(err)
	}
	sg.ObjectReuse = r.setting.reuse
	groups, err := r.KeyGroups(r.t.Context(), "", o)
	if err != nil {
		r.t.Fatal(err)
	}
	g, err := graph.Build(sg, graph.Options{
		Parallelism: r.setting.parallelism, DisableChaining: r.setting.unchained, KeyGroups: groups,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return g
}

type details = core.JobDetails

// running is a submitted job.
type running struct {
	*embedded.Job
	rig   *rig
	graph *graph.JobGraph
}

// start submits a job.
func (r *rig) start(build func(*stream.Env) error, o embedded.RunOptions) *running {
	r.t.Helper()
	g := r.graph(build, o)
	j, err := r.Submit(r.t.Context(), g, o)
	if err != nil {
		r.t.Fatal(err)
	}
	return &running{j, r, g}
}

// end waits for the job, which must end as status, and returns what it says of the end.
func (j *running) end(status string) embedded.Result {
	j.rig.t.Helper()
	ctx, cancel := context.WithTimeout(j.rig.t.Context(), patience)
	defer cancel()
	r, err := j.Wait(ctx)
	if err != nil {
		d, _ := j.Status(j.rig.t.Context())
		j.rig.t.Fatalf("the job has not ended within %v: %v; it is %v with failures %v", patience, err, d.Status, d.Failures)
	}
	if r.Status != status {
		j.rig.t.Fatalf("the job ended as %s, want %s: %s", r.Status, status, r.Error)
	}
	return r
}

// completed waits until as many checkpoints have completed since the JobMaster began.
func (j *running) completed(n int64) {
	j.rig.t.Helper()
	eventually(j.rig.t, fmt.Sprintf("%d checkpoints", n), func() bool { return j.status().Checkpoints.Counts.Completed >= n })
}

// status is the state of the job.
func (j *running) status() (d details) {
	j.rig.t.Helper()
	d, err := j.Status(j.rig.t.Context())
	if err != nil {
		j.rig.t.Fatal(err)
	}
	return d
}

// subtask is the first of a vertex.
func subtask(v *graph.JobVertex) graph.SubtaskID { return graph.SubtaskID{Vertex: v.Index} }

// counter is the sum of a metric over all subtasks and steps.
func (j *running) counter(name string) (sum int64) {
	j.rig.t.Helper()
	for _, v := range j.status().Vertices {
		for _, s := range v.Subtasks {
			for _, o := range s.Metrics.GetOperators() {
				sum += o.GetCounters()[name]
			}
		}
	}
	return sum
}

// recordsIn is the sum of what all subtasks and steps took in.
func (j *running) recordsIn() (sum int64) {
	j.rig.t.Helper()
	for _, v := range j.status().Vertices {
		for _, s := range v.Subtasks {
			for _, o := range s.Metrics.GetOperators() {
				sum += o.GetRecordsIn()
			}
		}
	}
	return sum
}
