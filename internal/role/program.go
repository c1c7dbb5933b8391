// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package role

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/jobsettings"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
	"github.com/weir-stream/weir/stream"
)

// Program is a job program: what weir.Main and weir.MainJobs are called with.
type Program struct {
	// Jobs are by the names that the program gives them.
	Jobs map[string]func(*stream.Env) error
	// Reserved are the flags that a job can't have for itself.
	Reserved []string
	// Help is the text of --help for a job with those flags.
	Help func(job string, flags []graph.Flag) string
	// Version is that of the engine that the program is built with.
	Version string
}

// choose returns the name of the job that the spec is for, and the arguments of that job: where a program has several,
// its first argument may be the name.
func (p *Program) choose(spec *weirpb.RoleSpec) (name string, args []string, err error) {
	names := slices.Sorted(maps.Keys(p.Jobs))
	name, args = spec.GetJob(), spec.GetArguments()
	if len(names) > 1 && len(args) > 0 && p.Jobs[args[0]] != nil && (name == "" || name == args[0]) {
		return args[0], args[1:], nil
	}
	switch {
	case name == "" && len(names) == 1:
		return names[0], args, nil
	case name == "":
		return "", nil, fatalf("the program has several jobs, name one of them: %s", strings.Join(names, ", "))
	case p.Jobs[name] == nil:
		return "", nil, fatalf("the program has no job %q; it has %s", name, strings.Join(names, ", "))
	}
	return name, args, nil
}

// described is a job as the program describes it.
type described struct {
	// job is the name under which the program knows it.
	job      string
	stream   *graph.StreamGraph
	settings jobsettings.Settings
	// checkpointDir and savepointDir are absolute, or empty where nobody has set them.
	checkpointDir, savepointDir string
}

// describeJob runs build. The graph comes with the error too, as far as it was described.
func (s *session) describeJob(name string, args []string) (*described, error) {
	d := &described{job: name}
	var err error
	if d.settings, err = jobsettings.ParseKnown(s.spec.GetSettings()); err != nil {
		return d, fatalf("job %q: %w", name, err)
	}
	d.stream, err = stream.Describe(stream.Setup{
		Name: name, Args: args, Dir: s.spec.GetDir(), Reserved: s.program.Reserved,
		RejectRelativePaths: s.spec.GetRejectRelativePaths(),
	}, s.program.Jobs[name])
	if err != nil {
		return d, ofUser(fmt.Errorf("job %q: %w", name, err))
	}
	d.settings.Apply(d.stream)
	d.stream.Name = cmp.Or(s.spec.GetName(), d.stream.Name)
	if d.checkpointDir, err = s.absolute("checkpoint directory", d.stream.Checkpoints.Dir); err != nil {
		return d, fatalf("job %q: %w", name, err)
	}
	if d.savepointDir, err = s.absolute("savepoint directory", d.settings.SavepointDir); err != nil {
		return d, fatalf("job %q: %w", name, err)
	}
	return d, nil
}

// build makes the graph; keyGroups are those of restored state.
func (d *described) build(keyGroups map[string]int) (*graph.JobGraph, error) {
	o := d.settings.Options(1)
	o.KeyGroups = keyGroups
	g, err := graph.Build(d.stream, o)
	if err != nil {
		return nil, ofUser(fmt.Errorf("job %q: %w", d.job, err))
	}
	return g, nil
}

// absolute resolves a path against the directory of the submission, or refuses a relative one.
func (s *session) absolute(what, path string) (string, error) {
	switch {
	case path == "" || filepath.IsAbs(path):
		return path, nil
	case s.spec.GetRejectRelativePaths():
		return "", fmt.Errorf("%s %q is relative, which depends on where the job runs: use an absolute one", what, path)
	}
	return filepath.Abs(filepath.Join(s.spec.GetDir(), path))
}

// differs names the first step of g that is another than in what the cluster was told before; empty where none is.
func differs(want *weirpb.JobDescription, g *graph.JobGraph) string {
	steps := graph.Describe(g.Stream)
	switch {
	case want == nil || want.GetFingerprint() == g.Fingerprint:
		return ""
	case len(want.GetSteps()) == 0: // which they were is not known here
		return fmt.Sprintf("fingerprint %016x became %016x, with the steps\n  %s",
			want.GetFingerprint(), g.Fingerprint, strings.Join(steps, "\n  "))
	}
	return cmp.Or(graph.FirstDifference(want.GetSteps(), steps), "the fingerprint is another")
}
