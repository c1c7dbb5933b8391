// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package arch

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// layer says what the packages in and below a folder may import of this module, beside each other. The layer of a
// package is the one with the longest folder; so a folder below another's can be given less, or more.
type layer struct {
	folder string
	may    []string // folders, each with all below it that has no layer of its own which is private
}

// public is what a program outside this module can import.
var public = []string{
	"weir", "stream", "aggregate", "window", "watermark", "state", "serializer", "element", "connector", "format",
}

// everything is for what wires the parts together or tests them so.
var everything = []string{"."}

// layers is the order of the engine, from what knows nothing to what knows all. A package without a line is a breach:
// whoever adds a part says here what it may know. "weir" is the package in the root.
var layers = []layer{
	// Tools of every part.
	{"internal/invariants", nil},
	{"internal/keys", []string{"internal/invariants"}},
	{"internal/ttl", []string{"element", "internal/invariants"}},
	{"internal/watermerge", []string{"element", "internal/invariants"}},
	{"internal/arch", nil},
	{"internal/spelling", nil},

	// What flows, and what describes jobs. Nothing here knows that an engine exists.
	{"element", []string{"internal/invariants"}},
	{"watermark", []string{"element"}},
	{"window", []string{"element", "watermark", "aggregate"}},
	{"aggregate", []string{"element", "state"}},
	{"serializer", []string{"element", "internal/codec", "internal/invariants"}},
	{"state", []string{
		"element", "serializer", "internal/statebackend", "internal/codec", "internal/keys", "internal/ttl",
		"internal/invariants",
	}},
	{"format", []string{"element", "serializer"}},
	{"connector", []string{"element", "format", "serializer", "watermark"}},
	{"connector/connectortest", []string{"connector", "element", "format", "serializer", "internal"}},

	// What a task is made of.
	{"internal/codec", []string{"element", "state", "internal/keys", "internal/invariants"}},
	{"internal/statebackend", []string{
		"element", "serializer", "state", "window", "internal/codec", "internal/keys", "internal/ttl",
		"internal/invariants",
	}},
	{"internal/operator", []string{
		"element", "connector", "watermark", "window", "aggregate", "serializer", "state",
		"internal/statebackend", "internal/watermerge", "internal/codec", "internal/keys", "internal/ttl",
		"internal/invariants",
	}},
	{"internal/exchange", []string{
		"element", "internal/operator", "internal/watermerge", "internal/codec", "internal/keys", "internal/invariants",
	}},
	{"internal/graph", []string{
		"element", "connector", "watermark", "internal/operator", "internal/exchange", "internal/statebackend",
		"internal/codec", "internal/keys", "internal/invariants",
	}},

	{"internal/jobsettings", []string{"internal/graph", "internal/spelling", "internal/invariants"}},

	// The API runs nothing: it makes graphs of operators.
	{"stream", []string{
		"element", "connector", "format", "watermark", "window", "aggregate", "serializer", "state",
		"internal/graph", "internal/operator", "internal/exchange", "internal/statebackend",
		"internal/codec", "internal/keys", "internal/ttl", "internal/invariants",
	}},

	// Checkpoints know no messages, tasks no JobMaster: they meet in the messages of rpc.
	{"internal/checkpoint", []string{
		"element", "internal/graph", "internal/statebackend", "internal/codec", "internal/keys", "internal/invariants",
	}},
	{"internal/rpc", []string{
		"element", "connector", "internal/graph", "internal/checkpoint", "internal/codec", "internal/keys",
		"internal/invariants",
	}},
	{"internal/task", []string{
		"element", "connector", "watermark", "internal/graph", "internal/operator", "internal/exchange",
		"internal/statebackend", "internal/checkpoint", "internal/rpc", "internal/watermerge", "internal/codec",
		"internal/keys", "internal/invariants",
	}},
	{"internal/jobmanager", []string{
		"element", "connector", "internal/graph", "internal/operator", "internal/statebackend", "internal/checkpoint",
		"internal/rpc",
		"internal/codec", "internal/keys", "internal/invariants",
	}},
	{"internal/taskmanager", []string{
		"element", "connector", "internal/graph", "internal/operator", "internal/exchange", "internal/task",
		"internal/statebackend", "internal/checkpoint", "internal/rpc", "internal/codec", "internal/keys",
		"internal/invariants",
	}},
	// What lets the parts be processes: links and routes, programs as files, children, configuration.
	{"internal/rpc/remote", []string{"internal/rpc", "internal/artifacts", "internal/invariants"}},
	{"internal/artifacts", []string{"internal/invariants"}},
	{"internal/process", []string{"internal/rpc", "internal/invariants"}},
	{"internal/config", []string{"internal/spelling", "internal/invariants"}},
	{"internal/certs", nil},
	{"internal/restclient", nil},
	{"internal/metrics", []string{"internal/rpc", "internal/invariants"}},
	{"internal/rest", []string{"internal/rpc/weirpb", "internal/config", "internal/metrics", "internal/invariants"}},
	{"internal/rest/resttest", nil},
	{"internal/jobmanager/process", []string{
		"internal/rpc", "internal/rpc/remote", "internal/process", "internal/artifacts", "internal/checkpoint", "internal/rest", "internal/metrics",
		"internal/cluster", "internal/jobmanager", "internal/invariants",
	}},
	{"internal/jobmanager/dispatcher", []string{
		"internal/rpc", "internal/process", "internal/artifacts", "internal/checkpoint", "internal/config",
		"internal/rest", "internal/cluster/election", "internal/graph", "internal/jobsettings", "internal/metrics",
		"internal/invariants",
	}},
	{"internal/taskmanager/process", []string{
		"internal/rpc", "internal/process", "internal/artifacts", "internal/config", "internal/taskmanager", "internal/metrics",
		"internal/invariants",
	}},
	// role is what a process of a job program does that a cluster started.
	{"internal/role", []string{
		"element", "connector", "stream", "internal/graph", "internal/operator", "internal/exchange", "internal/task",
		"internal/statebackend", "internal/checkpoint", "internal/rpc", "internal/jobmanager", "internal/taskmanager",
		"internal/jobsettings", "internal/certs", "internal/codec", "internal/keys", "internal/invariants",
	}},
	{"internal/cluster", []string{
		"element", "connector", "stream", "internal/graph", "internal/operator", "internal/exchange", "internal/task",
		"internal/statebackend", "internal/checkpoint", "internal/rpc", "internal/jobmanager", "internal/taskmanager",
		"internal/rest", "internal/codec", "internal/keys", "internal/invariants",
	}},

	{"internal/cluster/local", []string{"internal/rpc", "internal/process", "internal/cluster", "internal/invariants"}},

	{"internal/console", []string{"element", "internal/graph"}},

	// What puts the parts together.
	{"weir", []string{
		"stream", "aggregate", "window", "watermark", "state", "serializer", "element", "connector", "format",
		"internal",
	}},
	{"internal/sim", everything},
	{"streamtest", everything},
	{"cmd", everything},
	{"test", everything},
	{"bench", everything},
	{"examples", public},
	{"docs", public},
	{"webui", nil},
}

// private are folders that only the named importers reach, whatever their lines say.
var private = map[string][]string{
	"internal/cluster/kubernetes": {"cmd"},                                                                          // links client-go, which no job program shall carry
	"internal/rpc/remote":         {"cmd", "test", "internal/jobmanager/process"},                                   // links gRPC
	"internal/rest":               {"cmd", "test", "internal/jobmanager/dispatcher", "internal/jobmanager/process"}, // links an HTTP server
	"internal/metrics":            {"cmd", "test", "internal/rest", "internal/jobmanager/dispatcher", "internal/taskmanager/process"},
	"internal/sim":                {"test"},
}

func TestLayers(t *testing.T) {
	report(t, checkLayers(loadRepository(t), layers))
}

// checkLayers returns the imports that no line allows and the packages that have none.
func checkLayers(sources []*source, layers []layer) []string {
	var breaches []string
	homeless := map[string]bool{}
	for _, s := range sources {
		if s.file == nil || s.isTest() || s.nested {
			continue
		}
		from := named(s.folder())
		home, ok := layerOf(from, layers)
		if !ok {
			if !homeless[from] {
				breaches = append(breaches, from+": no line in layers says what it may import")
			}
			homeless[from] = true
			continue
		}
		for _, p := range s.imports() {
			to, ok := ours(p)
			if ok && !allowed(from, to, home, layers) {
				breaches = append(breaches, fmt.Sprintf("%s: %s may not import %s", s.path, from, to))
			}
		}
	}
	return breaches
}

// ours turns an import path into a folder of this module.
func ours(importPath string) (string, bool) {
	if importPath == module {
		return "weir", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// named is the name of a folder in layers.
func named(folder string) string {
	if folder == "." {
		return "weir"
	}
	return folder
}

func layerOf(folder string, layers []layer) (layer, bool) {
	var home layer
	for _, l := range layers {
		if within(folder, l.folder) && len(l.folder) > len(home.folder) {
			home = l
		}
	}
	return home, home.folder != ""
}

func allowed(from, to string, home layer, layers []layer) bool {
	isIn := func(folder string) bool { return within(from, folder) }
	for folder, importers := range private {
		if within(to, folder) && !isIn(folder) && !slices.ContainsFunc(importers, isIn) {
			return false
		}
	}
	if isTestKit(to) && !isTestKit(from) && !isIn("test") && !isIn("bench") {
		return false
	}
	if target, ok := layerOf(to, layers); ok && target.folder == home.folder {
		return true
	}
	return slices.ContainsFunc(home.may, func(folder string) bool { return within(to, folder) })
}

// isTestKit reports whether a package helps tests, as its name says: connectortest, operatortest, streamtest. Such a
// package is never part of a program.
func isTestKit(folder string) bool {
	return strings.HasSuffix(path.Base(folder), "test") && folder != "test"
}

func TestLayersHaveOneLineEach(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range layers {
		if seen[l.folder] {
			t.Errorf("%s has two lines", l.folder)
		}
		seen[l.folder] = true
	}
}

func TestLayersCatch(t *testing.T) {
	tests := []struct{ name, file, imports, breach string }{
		{"down", "stream/a.go", "element", ""},
		{"root", "weir.go", "stream", ""},
		{"of the root", "examples/x/main.go", "", ""},
		{"below its own folder", "internal/rpc/a.go", "internal/rpc/weirpb", ""},
		{"a test", "stream/a_test.go", "internal/task", ""},
		{"a kit by a kit", "streamtest/a.go", "connector/connectortest", ""},
		{"the API runs nothing", "stream/a.go", "internal/task", "stream may not import internal/task"},
		{"up", "internal/operator/a.go", "stream", "internal/operator may not import stream"},
		{
			"task and JobMaster", "internal/task/a.go", "internal/jobmanager/jobmaster",
			"internal/task may not import internal/jobmanager/jobmaster",
		},
		{"a connector", "connector/file/a.go", "internal/codec", "connector/file may not import internal/codec"},
		{
			"a kit", "connector/file/a.go", "connector/connectortest",
			"connector/file may not import connector/connectortest",
		},
		{
			"a private folder", "weir.go", "internal/cluster/kubernetes",
			"weir may not import internal/cluster/kubernetes",
		},
		{
			"like a prefix", "element/a.go", "internal/invariantsplus",
			"element may not import internal/invariantsplus",
		},
		{"the root", "internal/task/a.go", "", "internal/task may not import weir"},
		{"without a line", "surprise/a.go", "element", "no line in layers"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := strings.TrimSuffix(module+"/"+tt.imports, "/")
			sources := parse(t, tt.file, "package p\n\nimport _ \""+path+"\"\n")
			expect(t, checkLayers(sources, layers), tt.breach)
		})
	}
}
