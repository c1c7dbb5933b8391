// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package role

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weir-stream/weir/internal/graph"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// describe tells the parent what the program describes: the job that the spec names, else the one that the first argument
// does, else all of them. Errors of build are part of that.
func (s *session) describe() {
	said := &weirpb.Description{Version: s.program.Version}
	names, args := slices.Sorted(maps.Keys(s.program.Jobs)), s.spec.GetArguments()
	if name, rest, err := s.program.choose(s.spec); err == nil {
		names, args = []string{name}, rest
	}
	for _, name := range names {
		said.Jobs = append(said.Jobs, s.tell(name, args))
	}
	s.send(&weirpb.Frame{Body: &weirpb.Frame_Description{Description: said}})
}

// tell describes one job, or says why that can't be.
func (s *session) tell(name string, args []string) *weirpb.JobDescription {
	d, err := s.describeJob(name, args)
	var g *graph.JobGraph
	if err == nil {
		g, err = d.build(nil)
	}
	said := &weirpb.JobDescription{Job: name, Name: name}
	if err != nil {
		said.Error = strings.ToValidUTF8(err.Error(), "\uFFFD")
	} else {
		said = d.tell(g)
	}
	if d.stream != nil && s.program.Help != nil {
		said.Help = s.program.Help(name, d.stream.Flags)
	}
	return said
}

// tell is a job and its graph as a message.
func (d *described) tell(g *graph.JobGraph) *weirpb.JobDescription {
	said := &weirpb.JobDescription{
		Job: d.job, Name: g.Name, Fingerprint: g.Fingerprint, Steps: graph.Describe(g.Stream),
		SlotsNeeded: int32(g.SlotsNeeded()),
	}
	if plan, err := json.Marshal(graph.PlanOf(g, "")); err == nil { // it has nothing that JSON can't have
		said.Plan = plan
	}
	for _, v := range g.Vertices {
		said.Parallelism = max(said.GetParallelism(), int32(v.Parallelism))
	}
	if d.checkpointDir != "" {
		said.Directories = append(said.Directories, filepath.Clean(d.checkpointDir))
	}
	return said
}
