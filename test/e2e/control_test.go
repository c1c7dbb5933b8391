// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/weir-stream/weir/test/flightstest"
)

// resumeCommand finds what the program says is to be typed.
func resumeCommand(t *testing.T, p *process) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^to resume: (.*?)\r?$`).FindStringSubmatch(p.out.String())
	if m == nil {
		t.Fatalf("no command to resume:\n%s", p.out)
	}
	return m[1]
}

// TestStopAndResume stops the job by signals and types what it says then, until it has finished.
func TestStopAndResume(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := begin(t, flights(t), dir, "--rate=20000", "--checkpoint-interval=30ms", "--out", "my results", "--overwrite")
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		newest := newestOf(completed(dir))
		if !p.poll(func() bool { return newestOf(completed(dir)) != newest }) {
			t.Fatalf("the job ended before its signal:\n%s", p.out)
		}
		p.signal(t, s)
		p.wants(t, 0, "stopping with a final checkpoint", "SUSPENDED in ")
		if left := flightstest.Uncommitted(t, filepath.Join(dir, "my results")); len(left) > 0 {
			t.Errorf("not committed when it was stopped: %v", left)
		}
		p = begin(t, "sh", dir, "-c", "exec "+resumeCommand(t, p))
	}
	p.wants(t, 0, "FINISHED")
	flightstest.Compare(t, filepath.Join(dir, "my results"), flightstest.Reference(t, shipped))
}

// TestResumeUnderGoRun types the command that a program says which was started by go run.
func TestResumeUnderGoRun(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	args := []string{"--rate", "20000", "--checkpoint-interval", "30ms"}
	args = append(args, "--out", filepath.Join(dir, "out"), "--checkpoint-dir", filepath.Join(dir, ".weir", "flights"))
	p := begin(t, "go", filepath.Join(root, "examples"), append([]string{"run", "./flights"}, args...)...)
	// The signal goes to the program itself, whose process is named by its epoch record: go run passes none on.
	if !p.poll(func() bool { return len(completed(dir)) > 0 }) {
		t.Fatalf("ended before the first checkpoint:\n%s", p.out)
	}
	if err := syscall.Kill(leader(t, dir), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	p.wants(t, 0, "SUSPENDED in ")
	command := resumeCommand(t, p)
	if want := "go run ./flights " + strings.Join(args, " ") + " --restore latest"; command != want {
		t.Errorf("got  %s\nwant %s", command, want)
	}
	begin(t, "sh", filepath.Join(root, "examples"), "-c", command).wants(t, 0, "FINISHED")
	flightstest.Compare(t, filepath.Join(dir, "out"), flightstest.Reference(t, shipped))
}

// leader is the process that the newest epoch of a run names.
func leader(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(newestOf(records(dir, "epoch/*")))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`process (\d+)`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("no process in %s", text)
	}
	pid := 0
	for _, c := range m[1] {
		pid = 10*pid + int(c-'0')
	}
	return pid
}

// TestSecondInterrupt ends at once a job that can't take a checkpoint.
func TestSecondInterrupt(t *testing.T) {
	t.Parallel()
	p := begin(t, built.get(t, "test/e2e/blocked"), t.TempDir())
	p.await(t, "blocked")
	p.signal(t, os.Interrupt)
	p.await(t, "stopping with a final checkpoint")
	p.signal(t, os.Interrupt)
	p.wants(t, 130, "ended at once; to go on from the last checkpoint: ", "blocked --restore latest")
}

// TestFencing continues a run whose process still lives: that one notices and ends without a trace.
func TestFencing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"--checkpoint-interval", "30ms", "--parallelism", "2", "--rate"}
	older := begin(t, flights(t), dir, append(args, "2000")...)
	if !older.poll(func() bool { return len(completed(dir)) > 0 }) {
		t.Fatalf("ended by itself:\n%s", older.out)
	}
	newer := begin(t, flights(t), dir, append(args, "15000", "--restore", "latest")...)
	older.wants(t, 1, "another process has continued this run")
	if strings.Contains(older.out.String(), "to resume") {
		t.Errorf("who was deposed is told to resume:\n%s", older.out)
	}
	newer.wants(t, 0, "FINISHED")
	flightstest.Compare(t, filepath.Join(dir, "out"), flightstest.Reference(t, shipped))
	begin(t, flights(t), dir, "--restore", "latest").wants(t, 0, "has ended before: FINISHED")
}

// TestRestorePath begins a new run from the checkpoint of another, in another place and at another parallelism: what both
// wrote together is the result.
func TestRestorePath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := begin(t, flights(t), dir, "--rate", "15000", "--checkpoint-interval", "30ms", "--parallelism", "2")
	if !p.poll(func() bool { return len(completed(dir)) > 0 }) || !p.sleep(500_000_000) {
		t.Fatalf("ended by itself:\n%s", p.out)
	}
	p.signal(t, os.Interrupt)
	p.wants(t, 0, "SUSPENDED")
	run := filepath.Dir(newestOf(records(dir, "run")))
	from, err := filepath.Rel(dir, run)
	if err != nil {
		t.Fatal(err)
	}
	second := begin(t, flights(t), dir, "--restore", from, "--parallelism", "3", "--out", "second", "--checkpoint-dir", "other")
	second.wants(t, 0, "FINISHED")
	want := flightstest.Reference(t, shipped)
	for _, table := range want.Tables() {
		got := slices.Concat(
			table.Committed(t, filepath.Join(dir, "out", table.Dir)),
			table.Committed(t, filepath.Join(dir, "second", table.Dir)))
		table.Compare(t, got)
	}
	begin(t, flights(t), dir, "--restore", "no/such/place", "--out", "third").wants(t, 1, "no/such/place")
}

// TestLatestWithoutCheckpoint starts a run over that was killed before its first checkpoint.
func TestLatestWithoutCheckpoint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := begin(t, flights(t), dir, "--restore", "latest", "--rate", "2000", "--checkpoint-interval", "1h")
	p.await(t, "there is no run to continue: a new one begins")
	if !p.poll(func() bool { return len(records(dir, "epoch/*")) > 0 }) || !p.sleep(200_000_000) {
		t.Fatalf("ended by itself:\n%s", p.out)
	}
	p.signal(t, os.Kill)
	<-p.done
	run := records(dir, "run")
	begin(t, flights(t), dir, "--restore", "latest").wants(t, 0, "FINISHED")
	if now := records(dir, "run"); len(now) != 1 || !slices.Equal(run, now) {
		t.Errorf("runs %v, then %v: want the same one", run, now)
	}
	flightstest.Compare(t, filepath.Join(dir, "out"), flightstest.Reference(t, shipped))
}
