// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package role_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

func describe(t *testing.T, program string, spec *weirpb.RoleSpec) []*weirpb.JobDescription {
	t.Helper()
	t.Setenv(programKey, program)
	spec.Role = weirpb.Role_ROLE_DESCRIBE
	p, a, err := start(t, spec, ignore)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if e := p.Exit(); e.Code != 0 {
		t.Errorf("a program that has described its jobs %v", e)
	}
	if a.Description.GetVersion() != "v1" {
		t.Errorf("version %q", a.Description.GetVersion())
	}
	return a.Description.GetJobs()
}

func TestDescribe(t *testing.T) {
	jobs := describe(t, "", &weirpb.RoleSpec{
		Arguments: []string{"--n", "5"}, Dir: "/d", Name: "given",
		Settings: map[string]string{"parallelism.default": "3", "rest.port": "8081", "pipeline.name": "set"},
	})
	if len(jobs) != 1 {
		t.Fatalf("%d jobs", len(jobs))
	}
	j := jobs[0]
	if j.GetJob() != "numbers" || j.GetName() != "given" || j.GetParallelism() != 3 || j.GetSlotsNeeded() != 3 ||
		j.GetFingerprint() == 0 || len(j.GetSteps()) != 3 || !strings.Contains(string(j.GetPlan()), `"nodes"`) || j.GetError() != "" {
		t.Errorf("%v", j)
	}
	again := describe(t, "", &weirpb.RoleSpec{Arguments: []string{"--n", "5"}, Dir: "/d"})
	if again[0].GetFingerprint() != j.GetFingerprint() {
		t.Error("the same job has another fingerprint")
	}
}

func TestDescribeTellsErrors(t *testing.T) {
	errorsOf := map[string]string{}
	for _, j := range describe(t, "several", &weirpb.RoleSpec{}) {
		errorsOf[j.GetJob()] = j.GetError()
	}
	if len(errorsOf) != 3 || errorsOf["numbers"] != "" || !strings.Contains(errorsOf["fails"], "no such thing") ||
		!strings.Contains(errorsOf["panics"], "out of order") {
		t.Errorf("%q", errorsOf)
	}
	// The first argument picks a job.
	if jobs := describe(t, "several", &weirpb.RoleSpec{Arguments: []string{"numbers", "--n", "5"}}); len(jobs) != 1 || jobs[0].GetError() != "" {
		t.Errorf("%v", jobs)
	}
	for want, spec := range map[string]*weirpb.RoleSpec{
		"unknown flag --speed":        {Arguments: []string{"--speed", "5"}},
		`To "out": path "out" is rel`: {RejectRelativePaths: true},
		"want a number from 1":        {Settings: map[string]string{"parallelism.default": "none"}},
	} {
		if jobs := describe(t, "", spec); !strings.Contains(jobs[0].GetError(), want) {
			t.Errorf("%q, want %q", jobs[0].GetError(), want)
		}
	}
	if jobs := describe(t, "environment", &weirpb.RoleSpec{}); !strings.Contains(jobs[0].GetError(), "no such thing") {
		t.Errorf("user code sees what is the engine's: %s", jobs[0].GetError())
	}
}

// refused starts a role that is not taken on, and returns why.
func refused(t *testing.T, program string, spec *weirpb.RoleSpec) *process.Refused {
	t.Helper()
	t.Setenv(programKey, program)
	_, _, err := start(t, spec, ignore)
	var r *process.Refused
	if !errors.As(err, &r) {
		t.Fatalf("not refused: %v", err)
	}
	return r
}

func TestRolesThatAreRefused(t *testing.T) {
	clock := describe(t, "clock", &weirpb.RoleSpec{})[0]
	dir := t.TempDir()
	for _, tt := range []struct {
		name, program string
		spec          *weirpb.RoleSpec
		kind          weirpb.FailureKind
		want          []string
	}{
		{
			"several jobs", "several", &weirpb.RoleSpec{Role: weirpb.Role_ROLE_JOB_MASTER}, weirpb.FailureKind_FAILURE_KIND_FATAL,
			[]string{"several jobs", "fails, numbers, panics"},
		},
		{
			"no such job", "several", &weirpb.RoleSpec{Role: weirpb.Role_ROLE_EXECUTOR, Job: "other"},
			weirpb.FailureKind_FAILURE_KIND_FATAL,
			[]string{`no job "other"`, "fails, numbers, panics"},
		},
		{
			"build fails", "several", &weirpb.RoleSpec{Role: weirpb.Role_ROLE_JOB_MASTER, Job: "fails"},
			weirpb.FailureKind_FAILURE_KIND_USER,
			[]string{"no such thing"},
		},
		{
			"build panics", "several", &weirpb.RoleSpec{Role: weirpb.Role_ROLE_EXECUTOR, Job: "panics"},
			weirpb.FailureKind_FAILURE_KIND_USER,
			[]string{"out of order", "main_test.go"},
		},
		{
			"another graph on the JobMaster", "clock", &weirpb.RoleSpec{
				Role: weirpb.Role_ROLE_JOB_MASTER, JobId: "j",
				JobMaster: &weirpb.JobMasterSpec{CheckpointDir: dir, Described: clock},
			},
			weirpb.FailureKind_FAILURE_KIND_FATAL,
			[]string{"another graph", `step 1 Map uid="" name="at `, "became"},
		},
		{
			"another graph on the executor", "clock", &weirpb.RoleSpec{
				Role: weirpb.Role_ROLE_EXECUTOR, JobId: "j",
				Steps: clock.GetSteps(), Executor: &weirpb.ExecutorSpec{Fingerprint: clock.GetFingerprint()},
			},
			weirpb.FailureKind_FAILURE_KIND_FATAL,
			[]string{"another graph", `step 1 Map uid="" name="at `, "became"},
		},
		{
			"no checkpoint directory", "", &weirpb.RoleSpec{Role: weirpb.Role_ROLE_JOB_MASTER, JobId: "j"},
			weirpb.FailureKind_FAILURE_KIND_FATAL,
			[]string{"no directory for checkpoints"},
		},
		{
			"relative restore", "", &weirpb.RoleSpec{
				Role: weirpb.Role_ROLE_JOB_MASTER, JobId: "j", RejectRelativePaths: true,
				Arguments: []string{"--out", "/o"}, JobMaster: &weirpb.JobMasterSpec{CheckpointDir: dir, Restore: "sp"},
			},
			weirpb.FailureKind_FAILURE_KIND_FATAL,
			[]string{`"sp" is relative`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := refused(t, tt.program, tt.spec)
			for _, want := range tt.want {
				if r.Kind != tt.kind || !strings.Contains(r.Text, want) {
					t.Errorf("%v: %s\nwant %v with %q", r.Kind, r.Text, tt.kind, want)
				}
			}
		})
	}
}
