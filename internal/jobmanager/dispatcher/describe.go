// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/weir-stream/weir/internal/jobmanager/dispatcher/core"
	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

const (
	// describesAtOnce is how many programs may describe their jobs at a time, and descriptionsMax how many descriptions
	// are remembered.
	describesAtOnce, descriptionsMax = 4, 64
)

// descriptions has programs describe their jobs, and remembers the newest descriptions: a program that gets the same
// arguments, directory and settings must describe the same.
type descriptions struct {
	d    *Dispatcher
	turn chan struct{} // has a token for each program that describes
	mu   struct {
		sync.Mutex
		known map[[sha256.Size]byte]*weirpb.Description
		order [][sha256.Size]byte // of known, oldest first
		// jobs are the names of the jobs of programs by their hashes, for people; forgotten with the descriptions.
		jobs map[string][]string
	}
}

func newDescriptions(d *Dispatcher) *descriptions {
	x := &descriptions{d: d, turn: make(chan struct{}, describesAtOnce)}
	x.mu.known, x.mu.jobs = map[[sha256.Size]byte]*weirpb.Description{}, map[string][]string{}
	return x
}

// names returns the names of a program's jobs, if they are known.
func (x *descriptions) names(hash string) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.mu.jobs[hash]
}

// descriptionKey is all that a description depends on.
func descriptionKey(t *core.Job) ([sha256.Size]byte, error) {
	b, err := json.Marshal(struct {
		Program, Name, Dir string
		Arguments          []string
		Settings           map[string]string
		RejectRelative     bool
	}{t.Program, t.Name, t.Dir, t.Arguments, t.Settings, t.RejectRelative})
	return sha256.Sum256(b), err
}

// describe returns what the program of a template describes. Errors of what the program does are rest.ErrInvalid.
func (x *descriptions) describe(ctx context.Context, t *core.Job) (*weirpb.Description, error) {
	key, err := descriptionKey(t)
	if err != nil {
		return nil, fmt.Errorf("describe program %s: %w", t.Program, err)
	}
	if known := x.remembered(key); known != nil {
		return known, nil
	}
	select {
	case x.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-x.turn }()
	if known := x.remembered(key); known != nil {
		return known, nil
	}
	said, err := x.run(ctx, t)
	if err != nil {
		return nil, err
	}
	x.remember(key, t.Program, said)
	return said, nil
}

func (x *descriptions) remembered(key [sha256.Size]byte) *weirpb.Description {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.mu.known[key]
}

func (x *descriptions) remember(key [sha256.Size]byte, hash string, said *weirpb.Description) {
	var names []string
	for _, j := range said.GetJobs() {
		names = append(names, j.GetJob())
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.mu.order) >= descriptionsMax {
		delete(x.mu.known, x.mu.order[0])
		x.mu.order = x.mu.order[1:]
		clear(x.mu.jobs)
	}
	x.mu.known[key], x.mu.jobs[hash] = said, names
	x.mu.order = append(x.mu.order, key)
}

// run starts the program in the role that describes.
func (x *descriptions) run(ctx context.Context, t *core.Job) (*weirpb.Description, error) {
	path, err := x.d.config.Artifacts.Path(t.Program)
	if err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	p, answer, err := x.d.config.start(ctx, process.Config{
		Path: path, Args: t.Arguments, Dir: workDir(t.Dir), Logger: x.d.config.Logger,
		MemoryBytes: x.d.config.JobMasterMemoryBytes, Cgroups: x.d.config.Cgroups,
		Watch:   &x.d.memory,
		Receive: func(*weirpb.Frame) {}, // there is nothing else to say
	}, &weirpb.RoleSpec{
		Role: weirpb.Role_ROLE_DESCRIBE, Name: t.Name, Arguments: t.Arguments, Dir: t.Dir, Settings: t.Settings,
		RejectRelativePaths: t.RejectRelative,
	}, x.d.config.ReadyTimeout)
	if err != nil {
		if process.KindOf(err) != weirpb.FailureKind_FAILURE_KIND_WORLD {
			err = fmt.Errorf("%w: the program does not describe its jobs: %w", rest.ErrInvalid, err)
		}
		return nil, err
	}
	p.Stop(0)
	if answer.Description == nil {
		return nil, fmt.Errorf("%w: the program does not describe its jobs: %w", rest.ErrInvalid, process.ErrProtocol)
	}
	return answer.Description, nil
}

// describeJobs returns the descriptions of the jobs that a template is for: the one that it names, or all.
func (p *Programs) describeJobs(ctx context.Context, t *core.Job) ([]*weirpb.JobDescription, error) {
	said, err := p.descriptions.describe(ctx, t)
	if err != nil {
		return nil, err
	}
	jobs := said.GetJobs()
	if t.Entry != "" {
		i := slices.IndexFunc(jobs, func(j *weirpb.JobDescription) bool { return j.GetJob() == t.Entry })
		if i < 0 {
			return nil, fmt.Errorf("%w: the program has no job %q; %s", rest.ErrInvalid, t.Entry, listed(jobs))
		}
		jobs = jobs[i : i+1]
	}
	if len(jobs) == 0 {
		return nil, fmt.Errorf("%w: the program names no job", rest.ErrInvalid)
	}
	for _, j := range jobs {
		if j.GetError() != "" {
			return nil, fmt.Errorf("%w: job %q: %s", rest.ErrInvalid, j.GetJob(), j.GetError())
		}
	}
	return jobs, nil
}

// describeJob returns the description of the one job that a template is for.
func (p *Programs) describeJob(ctx context.Context, t *core.Job) (*weirpb.JobDescription, error) {
	said, err := p.descriptions.describe(ctx, t)
	if err != nil {
		return nil, err
	}
	if jobs := said.GetJobs(); t.Entry == "" && len(jobs) > 1 {
		return nil, fmt.Errorf("%w: the program has several jobs, name one of them; %s", rest.ErrInvalid, listed(jobs))
	}
	jobs, err := p.describeJobs(ctx, t)
	if err != nil {
		return nil, err
	}
	return jobs[0], nil
}

func listed(jobs []*weirpb.JobDescription) string {
	names := make([]string, 0, len(jobs))
	for _, j := range jobs {
		names = append(names, j.GetJob())
	}
	return "it has " + strings.Join(names, ", ")
}
