// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// programs builds each program once for all tests of the package.
type programs struct {
	dir   string
	build map[string]func() error
}

var built = newPrograms("cmd/weir", "examples/flights", "test/cluster/programs/load", "test/cluster/programs/odd",
	"test/cluster/programs/several", "test/cluster/programs/crash", "test/cluster/programs/mute")

func newPrograms(names ...string) *programs {
	p := &programs{build: map[string]func() error{}}
	for _, name := range names {
		p.build[name] = sync.OnceValue(func() error {
			cmd := exec.Command("go", "build", "-trimpath", "-tags", "grpcnotrace", "-o", p.path(name), "../../"+name)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				return errors.New(err.Error() + "\n" + string(out))
			}
			return nil
		})
	}
	return p
}

func (p *programs) path(name string) string { return filepath.Join(p.dir, filepath.Base(name)) }

// program is the path of a program of this module, built.
func program(t testing.TB, name string) string {
	t.Helper()
	if err := built.build[name](); err != nil {
		t.Fatalf("build %s: %v", name, err)
	}
	return built.path(name)
}

func weir(t testing.TB) string {
	t.Helper()
	return program(t, "cmd/weir")
}

func flights(t testing.TB) string {
	t.Helper()
	return program(t, "examples/flights")
}

func load(t testing.TB) string {
	t.Helper()
	return program(t, "test/cluster/programs/load")
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "weir-cluster-")
	if err != nil {
		panic(err)
	}
	built.dir = dir
	// Tests wait for processes most of the time.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir) // what is left there is only in the way
	os.Exit(code)
}

// shortDir is a directory of a test whose path leaves room for those of sockets below it.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wc-") //nolint:usetesting // that of TempDir is longer
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// output collects what a process writes.
type output struct {
	mu struct {
		sync.Mutex
		b bytes.Buffer
	}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.mu.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.mu.b.String()
}

// patience is how long a condition may take to hold; pollInterval is the time between two looks.
const (
	patience     = 60 * time.Second
	pollInterval = 5 * time.Millisecond
)

// eventually waits for a condition; what says what it is, and state, if not nil, what is there instead.
func eventually(t testing.TB, what string, condition func() bool, state func() string) {
	t.Helper()
	eventuallyIn(t, patience, what, condition, state)
}

func eventuallyIn(t testing.TB, limit time.Duration, what string, condition func() bool, state func() string) {
	t.Helper()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for end := time.Now().Add(limit); !condition(); <-ticker.C {
		if time.Now().Before(end) {
			continue
		}
		text := ""
		if state != nil {
			text = "\n" + state()
		}
		t.Fatalf("not within %v: %s%s", limit, what, text)
	}
}

// sorted returns a sorted copy.
func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }
