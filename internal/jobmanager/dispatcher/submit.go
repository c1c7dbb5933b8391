// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/checkpoint/storage"
	"github.com/weir-stream/weir/internal/jobmanager/dispatcher/core"
	"github.com/weir-stream/weir/internal/jobsettings"
	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

const (
	// parallelismKey is the setting of the parallelism.
	parallelismKey = "parallelism.default"
	// jobsMax is how many jobs may run, or be described, in a cluster.
	jobsMax = 10_000
)

// Describe implements rest.Programs.
func (p *Programs) Describe(ctx context.Context, r rest.Run) (*weirpb.JobDescription, error) {
	t, err := p.template(ctx, r)
	if err != nil {
		return nil, err
	}
	return p.describeJob(ctx, t)
}

// Run implements rest.Programs. Where the client says what it saw the program describe, the JobMaster compares, and the
// program is not run here.
func (p *Programs) Run(ctx context.Context, r rest.Run) (string, error) {
	if p.d.config.Mode == SingleApplication {
		return "", fmt.Errorf("%w: this cluster is for one application", rest.ErrConflict)
	}
	t, err := p.template(ctx, r)
	if err != nil {
		return "", err
	}
	described := r.Described
	if described == nil {
		if described, err = p.describeJob(ctx, t); err != nil {
			return "", err
		}
	}
	if described.GetError() != "" {
		return "", fmt.Errorf("%w: job %q: %s", rest.ErrInvalid, described.GetJob(), described.GetError())
	}
	t.Submitted = time.Now().UTC()
	if err := fill(t, described); err != nil {
		return "", err
	}
	return t.ID, p.d.admit(ctx, &core.Record{Submitted: &core.Submitted{Jobs: []*core.Job{t}}})
}

// RunApplication implements rest.Programs.
func (p *Programs) RunApplication(ctx context.Context, r rest.Run) (string, error) {
	if p.d.config.Mode == SingleJob {
		return "", fmt.Errorf("%w: this cluster is for one job", rest.ErrConflict)
	}
	t, err := p.template(ctx, r)
	if err != nil {
		return "", err
	}
	a := &core.Application{ID: t.ID, Name: r.Name, Template: *t, Begun: time.Now().UTC()}
	if a.Name == "" {
		program, err := p.program(r.Program)
		if err != nil {
			return "", err
		}
		a.Name = program.Name
	}
	a.Template.ID, a.Template.RejectRelative, a.Template.Dir = "", true, ""
	return a.ID, p.d.admit(ctx, &core.Record{ApplicationBegun: a})
}

// admit stores a submission and starts what it is of. A cluster for one takes no second.
func (d *Dispatcher) admit(ctx context.Context, r *core.Record) error {
	select {
	case d.admission <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-d.admission }()
	d.mu.Lock()
	closed := d.mu.closed
	d.mu.Unlock()
	if closed {
		return fmt.Errorf("%w: %w", rest.ErrUnavailable, ErrClosed)
	}
	taken, open := false, 0
	d.store.view(func(s *core.State) { taken, open = len(s.Jobs())+len(s.Applications()) > 0, s.Open() })
	if open >= jobsMax {
		return fmt.Errorf("%w: %d jobs run here", rest.ErrUnavailable, open)
	}
	if taken && d.config.Mode != Session {
		return fmt.Errorf("%w: this cluster is for one job or application, and has had it", rest.ErrConflict)
	}
	err := d.write(ctx, r)
	if errors.Is(err, core.ErrJobExists) {
		return fmt.Errorf("%w: %w", rest.ErrConflict, err)
	}
	if errors.Is(err, rest.ErrUnavailable) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w; if the record was stored all the same, what was submitted starts later", err)
	}
	d.reconcile(false) //nolint:contextcheck // a submitted job outlives the call
	return nil
}

var idPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)

// template is what a request to run a program says, without what only the program knows.
func (p *Programs) template(ctx context.Context, r rest.Run) (*core.Job, error) {
	program, err := p.program(r.Program)
	if err != nil {
		return nil, err
	}
	t := &core.Job{
		ID: r.JobID, Name: r.Name, Entry: r.Job, Program: program.Hash, Arguments: r.Arguments, Dir: r.Dir,
		RejectRelative: r.Dir == "", Settings: maps.Clone(p.d.config.Settings), Restore: r.Savepoint,
		AllowNonRestoredState: r.AllowNonRestoredState, CheckpointDir: p.d.config.CheckpointDir,
	}
	if t.ID == "" {
		t.ID = newID()
	}
	if !idPattern.MatchString(t.ID) {
		return nil, fmt.Errorf("%w: id %.80q: want 32 lower case hexadecimal digits", rest.ErrInvalid, t.ID)
	}
	if t.Dir != "" && !filepath.IsAbs(t.Dir) {
		return nil, fmt.Errorf("%w: directory %q: want an absolute path", rest.ErrInvalid, t.Dir)
	}
	if t.Settings == nil {
		t.Settings = map[string]string{}
	}
	maps.Copy(t.Settings, r.Settings)
	if r.Parallelism > 0 {
		t.Settings[parallelismKey] = strconv.Itoa(int(r.Parallelism))
	}
	if _, err := jobsettings.ParseKnown(t.Settings); err != nil {
		return nil, fmt.Errorf("%w: %w", rest.ErrInvalid, err)
	}
	own, err := jobsettings.ParseKnown(r.Settings)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", rest.ErrInvalid, err)
	}
	if own.CheckpointDir != "" {
		if t.CheckpointDir, err = absoluteIn(t.Dir, "checkpoint directory", own.CheckpointDir); err != nil {
			return nil, err
		}
	}
	return t, p.checkRestore(ctx, t)
}

// absoluteIn resolves a path against the directory that it was submitted from.
func absoluteIn(dir, what, path string) (string, error) {
	switch {
	case filepath.IsAbs(path):
		return path, nil
	case dir == "":
		return "", fmt.Errorf("%w: %s %q: want an absolute path", rest.ErrInvalid, what, path)
	}
	return filepath.Join(dir, path), nil
}

// checkRestore makes the path of what a job begins from absolute, and sees whether it is there.
func (p *Programs) checkRestore(ctx context.Context, t *core.Job) error {
	if t.Restore == "" {
		return nil
	}
	path, err := absoluteIn(t.Dir, "savepoint", t.Restore)
	if err != nil {
		return err
	}
	t.Restore = path
	if _, err := storage.OpenSnapshot(ctx, p.d.config.Objects, t.Restore, nil); err != nil {
		return fmt.Errorf("%w: %w", rest.ErrInvalid, err)
	}
	return nil
}

// fill completes a template with what the program describes.
func fill(t *core.Job, described *weirpb.JobDescription) error {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(described)
	if err != nil {
		return fmt.Errorf("encode the description of job %q: %w", described.GetJob(), err)
	}
	t.Described, t.Entry = b, described.GetJob()
	if t.Name == "" {
		t.Name = described.GetName()
	}
	t.Arguments = slices.Clone(t.Arguments)
	return nil
}

// newID makes an id in Flink's form.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
