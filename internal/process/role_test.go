// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

func startRole(t *testing.T, c Config) (*Process, *Answer) {
	t.Helper()
	p, a, err := StartRole(t.Context(), c, &weirpb.RoleSpec{Name: "spec"}, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(0) })
	return p, a
}

func TestStartRole(t *testing.T) {
	_, a := startRole(t, config(t, "idle"))
	if a.Ready.GetProtocol() == 0 || a.Description != nil {
		t.Errorf("answer %v", a)
	}
	p, a := startRole(t, config(t, "describe"))
	if a.Description.GetVersion() != "spec" || a.Ready != nil {
		t.Errorf("answer %v", a)
	}
	await(t, "end of describe", p.Done())
}

// TestStartRoleFails: each way not to take on a role has an error that names it.
func TestStartRoleFails(t *testing.T) {
	foreign := filepath.Join(t.TempDir(), "foreign")
	if err := os.WriteFile(foreign, []byte("MZ this is for another system"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		args    []string
		path    string
		timeout time.Duration
		want    error
		text    string
		kind    weirpb.FailureKind
	}{
		{
			name: "not a job", args: []string{"exit", "0"}, want: ErrNotWeir, text: "exit code 0",
			kind: weirpb.FailureKind_FAILURE_KIND_FATAL,
		},
		{
			name: "crash", args: []string{"panic"}, want: ErrCrashed, text: "panic: no such luck",
			kind: weirpb.FailureKind_FAILURE_KIND_USER,
		},
		{
			name: "silence", args: []string{"deaf"}, timeout: 100 * time.Millisecond, want: ErrNoAnswer, text: "100ms",
			kind: weirpb.FailureKind_FAILURE_KIND_USER,
		},
		{
			name: "future", args: []string{"future"}, want: ErrProtocol, text: "speaks version 2",
			kind: weirpb.FailureKind_FAILURE_KIND_FATAL,
		},
		{
			name: "platform", path: foreign, want: ErrOtherPlatform, text: runtime.GOOS + "/" + runtime.GOARCH,
			kind: weirpb.FailureKind_FAILURE_KIND_FATAL,
		},
		{
			name: "no file", path: foreign + "x", want: os.ErrNotExist, text: foreign + "x",
			kind: weirpb.FailureKind_FAILURE_KIND_WORLD,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := config(t, tt.args...)
			if tt.path != "" {
				c.Path = tt.path
			}
			if tt.timeout == 0 {
				tt.timeout = patience
			}
			_, _, err := StartRole(t.Context(), c, &weirpb.RoleSpec{}, tt.timeout)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) || KindOf(err) != tt.kind {
				t.Errorf("error of kind %v: %v", KindOf(err), err)
			}
		})
	}
}

func TestStartRoleRefused(t *testing.T) {
	_, _, err := StartRole(t.Context(), config(t, "refuse"), &weirpb.RoleSpec{}, patience)
	var refused *Refused
	if !errors.As(err, &refused) || refused.Text != "step 3 differs" || KindOf(err) != weirpb.FailureKind_FAILURE_KIND_FATAL {
		t.Errorf("error %v", err)
	}
}

func TestStartRoleGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("not wanted any more")
	cancel(cause)
	if _, _, err := StartRole(ctx, config(t, "deaf"), &weirpb.RoleSpec{}, patience); !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
}
