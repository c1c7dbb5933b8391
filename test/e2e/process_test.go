// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// programs builds each program once for all tests of the package.
type programs struct {
	dir   string
	once  map[string]func() error
	names []string
}

var built = newPrograms("examples/flights", "test/e2e/blocked")

func newPrograms(names ...string) *programs {
	p := &programs{names: names, once: map[string]func() error{}}
	for _, name := range names {
		p.once[name] = sync.OnceValue(func() error {
			cmd := exec.Command("go", "build", "-o", p.path(name), "../../"+name)
			if out, err := cmd.CombinedOutput(); err != nil {
				return errors.New(err.Error() + "\n" + string(out))
			}
			return nil
		})
	}
	return p
}

func (p *programs) path(name string) string { return filepath.Join(p.dir, filepath.Base(name)) }

func (p *programs) get(t *testing.T, name string) string {
	t.Helper()
	if err := p.once[name](); err != nil {
		t.Fatalf("build %s: %v", name, err)
	}
	return p.path(name)
}

func flights(t *testing.T) string {
	t.Helper()
	return built.get(t, "examples/flights")
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "weir-e2e-")
	if err != nil {
		panic(err)
	}
	built.dir = dir
	code := m.Run()
	_ = os.RemoveAll(dir) // what is left there is only in the way
	os.Exit(code)
}

// process is a program that runs; what it says is there to be waited for.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed at its end, when err is set
	err  error
	out  *output
}

// output collects what a process writes.
type output struct {
	mu struct {
		sync.Mutex
		b bytes.Buffer
	}
	grew chan struct{}
}

func newOutput() *output { return &output{grew: make(chan struct{}, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.grew <- struct{}{}:
	default:
	}
	return o.mu.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.mu.b.String()
}

// processMax ends a program that hangs, and with it the test.
const processMax = time.Minute

// begin starts a program in a directory; it is killed at the end of the test at the latest.
func begin(t *testing.T, program, dir string, args ...string) *process {
	t.Helper()
	p := prepared(t, program, dir, args...)
	p.start(t)
	return p
}

// prepared is a program that can be started.
func prepared(t *testing.T, program, dir string, args ...string) *process {
	t.Helper()
	p := &process{out: newOutput(), done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(t.Context(), processMax)
	t.Cleanup(cancel)
	p.cmd = exec.CommandContext(ctx, program, args...)
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	return p
}

func (p *process) start(t *testing.T) {
	t.Helper()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // Owner: the process; a cleanup of the test waits for done
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() { <-p.done }) // the context of the test has ended then, and the process with it
}

// await waits until the process has said something that matches, and fails the test if it ends without it.
func (p *process) await(t *testing.T, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for !re.MatchString(p.out.String()) {
		select {
		case <-p.out.grew:
		case <-p.done:
			if !re.MatchString(p.out.String()) {
				t.Fatalf("the program ended without saying %q: %v\n%s", pattern, p.err, p.out)
			}
		}
	}
}

// code waits for the end and returns the exit code; -1 for a signal.
func (p *process) code() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// wants checks the exit code and what was said.
func (p *process) wants(t *testing.T, code int, parts ...string) {
	t.Helper()
	if got := p.code(); got != code {
		t.Errorf("exit code %d, want %d\n%s", got, code, p.out)
	}
	for _, part := range parts {
		if !strings.Contains(p.out.String(), part) {
			t.Errorf("the output lacks %q:\n%s", part, p.out)
		}
	}
}

// signal sends one.
func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
}

// poll waits until a condition holds; it reports false if the process ended before.
func (p *process) poll(condition func() bool) bool {
	ticker := time.NewTicker(200 * time.Microsecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-p.done:
			return false
		}
	}
	return true
}

// records lists the files of a kind in the runs below a checkpoint directory.
func records(dir, kind string) []string {
	names, err := filepath.Glob(filepath.Join(dir, ".weir", "flights", "*", kind))
	if err != nil {
		panic(err) // the pattern is malformed
	}
	return names
}

// completed are the complete checkpoints of the flights job in a directory.
func completed(dir string) []string {
	return slices.DeleteFunc(records(dir, "chk/*.mark"), func(name string) bool {
		text, err := os.ReadFile(name)
		return err != nil || !bytes.Contains(text, []byte("COMPLETE")) // gone, or aborted
	})
}
