// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir

import (
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-stream/weir/internal/graph"
)

func TestArguments(t *testing.T) {
	plain := arguments{settings: map[string]string{}}
	with := func(change func(a *arguments)) arguments {
		a := plain
		a.settings = map[string]string{}
		change(&a)
		return a
	}
	for _, tt := range []struct {
		args string
		want arguments
	}{
		{"", plain},
		{"--checkpoint-dir=/c --restore latest", with(func(a *arguments) { a.checkpointDir, a.restore = "/c", "latest" })},
		{"-checkpoint-dir /c -restore=x=y", with(func(a *arguments) { a.checkpointDir, a.restore = "/c", "x=y" })},
		{"--allow-non-restored-state", with(func(a *arguments) { a.allowNonRestored = true })},
		{"--allow-non-restored-state=false", plain},
		{"-D a=1 -Db=2=3 -D a=4", with(func(a *arguments) { a.settings = map[string]string{"a": "4", "b": "2=3"} })},
		{"--help", with(func(a *arguments) { a.help = true })},
		// Values of the job's own flags may be called as the program's flags.
		{"--in help --out restore --n -5", with(func(a *arguments) { a.job = []string{"--in", "help", "--out", "restore", "--n", "-5"} })},
		{"--in=h --restore latest D", with(func(a *arguments) { a.job, a.restore = []string{"--in=h", "D"}, "latest" })},
	} {
		got, err := parseArguments(strings.Fields(tt.args))
		if err != nil {
			t.Errorf("%s: %v", tt.args, err)
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(arguments{})); diff != "" {
			t.Errorf("%s: %s", tt.args, diff)
		}
	}
	for args, want := range map[string]string{
		"--restore":                          "--restore needs a value",
		"--restore --in x":                   "--restore needs a value",
		"--checkpoint-dir=":                  "--checkpoint-dir needs a value",
		"-D":                                 "want -D KEY=VALUE",
		"-D parallelism":                     "want -D KEY=VALUE",
		"--allow-non-restored-state=perhaps": "want true or false",
	} {
		if _, err := parseArguments(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

func TestResume(t *testing.T) {
	for args, want := range map[string]string{
		"":                                       "p --restore latest",
		"--in|a b|--rate=2":                      "p --in 'a b' --rate=2 --restore latest",
		"--restore|old|--in|x":                   "p --in x --restore latest",
		"--in|x|--restore=old":                   "p --in x --restore latest",
		"--overwrite|--in|x":                     "p --in x --restore latest",
		"--overwrite|true|--in|x":                "p --in x --restore latest",
		"--overwrite=true|-D|a=b":                "p -D a=b --restore latest",
		"--in|x|--overwrite":                     "p --in x --restore latest",
		"--in|restore|--out|it's":                `p --in restore --out 'it'\''s' --restore latest`,
		"--allow-non-restored-state|--restore|s": "p --allow-non-restored-state --restore latest",
	} {
		var words []string
		if args != "" {
			words = strings.Split(args, "|")
		}
		if got := resume("p", words, latest); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", args, got, want)
		}
	}
}

func TestRunTarget(t *testing.T) {
	root := moduleRoot(workingDir())
	if root != workingDir() || moduleOf(root) != "github.com/weir-stream/weir" {
		t.Fatalf("module root %s, module %s", root, moduleOf(root))
	}
	flights := &debug.BuildInfo{
		Path: "github.com/weir-stream/weir/examples/flights",
		Main: debug.Module{Path: "github.com/weir-stream/weir", Version: "(devel)"},
	}
	released := &debug.BuildInfo{Path: flights.Path, Main: debug.Module{Path: flights.Main.Path, Version: "v1.2.3"}}
	for _, tt := range []struct {
		info      *debug.BuildInfo
		dir, want string
	}{
		{flights, root, "./examples/flights"},
		{flights, root + "/examples", "./flights"},
		{flights, root + "/examples/flights", "."},
		{flights, root + "/stream", "../examples/flights"},
		{flights, "/", "github.com/weir-stream/weir/examples/flights"},
		{released, "/", "github.com/weir-stream/weir/examples/flights@v1.2.3"},
		{&debug.BuildInfo{Path: "command-line-arguments"}, root, "."},
	} {
		if got := runTarget(tt.info, tt.dir); got != tt.want {
			t.Errorf("in %s: %s, want %s", tt.dir, got, tt.want)
		}
	}
	for exe, want := range map[string]bool{
		"/tmp/go-build123/b001/exe/flights":                true,
		"/c/14/" + strings.Repeat("0a", 32) + "-d/flights": true,
		"./flights": false, "/home/go-build/flights": false, "/usr/bin/flights": false,
	} {
		if goRun.MatchString(exe) != want {
			t.Errorf("%s: built by go run %v, want %v", exe, !want, want)
		}
	}
}

func TestHelp(t *testing.T) {
	got := help("go run ./p", "p", []graph.Flag{
		{Name: "in", Usage: "what to read", Type: "string"},
		{Name: "interval", Usage: "how often", Type: "duration", Default: "10s"},
		{Name: "overwrite", Usage: "delete first", Type: "bool", Default: "false"},
	})
	for _, want := range []string{
		"go run ./p --restore latest\n",
		"  --in STRING          what to read (default \"\")\n",
		"  --interval DURATION  how often (default 10s)\n",
		"  --overwrite          delete first\n",
		"(default .weir/p)\n", "--allow-non-restored-state", "-D KEY=VALUE", "--restore PATH",
		"execution.checkpointing.interval ", "  130  ended",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the help lacks %q:\n%s", want, got)
		}
	}
}

func TestSeveralJobs(t *testing.T) {
	jobs := map[string]Build{"b": nil, "a": nil}
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"", exitUsage, "Jobs: a, b."},
		{"c", exitUsage, `no job is called "c"`},
		{"--help", exitFinished, "p JOB --help"},
	} {
		var b strings.Builder
		if code := runJobs(jobs, "p", strings.Fields(tt.args), &b, &b); code != tt.code || !strings.Contains(b.String(), tt.want) {
			t.Errorf("%s: exit code %d, want %d, with %q:\n%s", tt.args, code, tt.code, tt.want, b.String())
		}
	}
}
