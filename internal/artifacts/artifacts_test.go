// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const program = "#!/bin/sh\necho runs\n"

func hashOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func openStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "a[1]*"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// files lists all that is in the directory.
func files(t *testing.T, s *Store) []string {
	t.Helper()
	var names []string
	if err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, err := filepath.Rel(s.dir, path)
			if err != nil {
				return err
			}
			names = append(names, rel)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return names
}

// full writes so many bytes, and then the disk is full.
type full struct {
	w    io.Writer
	left *int
}

func (f full) Write(data []byte) (int, error) {
	n := min(len(data), *f.left)
	*f.left -= n
	n, err := f.w.Write(data[:n])
	if err == nil && n < len(data) {
		err = syscall.ENOSPC
	}
	return n, err
}

func (s *Store) fill(bytesLeft int) {
	s.limit = func(w io.Writer) io.Writer { return full{w, &bytesLeft} }
}

func TestPut(t *testing.T) {
	s := openStore(t)
	want := hashOf(program)
	for range 2 { // again is no error
		sum, size, err := s.Put(strings.NewReader(program), int64(len(program)))
		if err != nil || sum != want || size != int64(len(program)) {
			t.Fatalf("put: %s, %d, %v", sum, size, err)
		}
	}
	path, err := s.Path(want)
	if err != nil || !filepath.IsAbs(path) {
		t.Fatalf("path %q, %v", path, err)
	}
	if out, err := exec.CommandContext(t.Context(), path).Output(); err != nil || string(out) != "runs\n" {
		t.Errorf("executed: %q, %v", out, err)
	}
	if got := files(t, s); !slices.Equal(got, []string{want}) {
		t.Errorf("files %q", got)
	}
	again, err := Open(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Path(want); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	for range 2 {
		if err := s.Remove(want); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Path(want); !errors.Is(err, ErrNotFound) {
		t.Errorf("path of what was removed: %v", err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	var want []string
	for _, content := range []string{"a", "b", "c"} {
		sum, _, err := s.Put(strings.NewReader(content), 10)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, sum)
	}
	slices.Sort(want)
	p, err := s.Partial(hashOf("d"), 10)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.List(); err != nil || !slices.Equal(got, want) {
		t.Errorf("listed %q, %v, want %q", got, err, want)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPutLeavesNothing(t *testing.T) {
	broken := errors.New("upload broke")
	for _, tt := range []struct {
		name string
		r    io.Reader
		left int
		want error
	}{
		{"too large", strings.NewReader(program + "x"), 1 << 20, ErrTooLarge},
		{"endless", iotest.DataErrReader(io.MultiReader(strings.NewReader(program), strings.NewReader(program))), 1 << 20, ErrTooLarge},
		{"broken", io.MultiReader(strings.NewReader("#!"), iotest.ErrReader(broken)), 1 << 20, broken},
		{"disk full", strings.NewReader(program), 5, syscall.ENOSPC},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := openStore(t)
			s.fill(tt.left)
			if _, _, err := s.Put(tt.r, int64(len(program))); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if got := files(t, s); len(got) != 0 {
				t.Errorf("left behind: %q", got)
			}
		})
	}
}

func TestOpenRemovesUnfinished(t *testing.T) {
	s := openStore(t)
	keep := filepath.Join(s.dir, hashOf("a"))
	for _, path := range []string{filepath.Join(s.dir, "put-123"), keep, filepath.Join(s.dir, partialDir, hashOf("b"))} {
		if err := os.WriteFile(path, []byte("a"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Open(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := files(t, again), []string{hashOf("a"), filepath.Join(partialDir, hashOf("b"))}; len(got) != 2 {
		t.Errorf("files %q, want %q", got, want)
	}
	if _, err := Open(keep); err == nil {
		t.Error("a file was opened as a directory")
	}
}

func TestNamesAreHashes(t *testing.T) {
	s := openStore(t)
	for _, sum := range []string{
		"", "..", "../../etc/passwd", strings.ToUpper(hashOf("a")), hashOf("a")[1:], hashOf("a") + "0", strings.Repeat("/", 64),
	} {
		_, pathErr := s.Path(sum)
		_, partialErr := s.Partial(sum, 10)
		for _, err := range []error{pathErr, partialErr, s.Remove(sum)} {
			if !errors.Is(err, ErrBadHash) {
				t.Errorf("%q: %v", sum, err)
			}
		}
	}
}

func TestPartialResumes(t *testing.T) {
	s := openStore(t)
	sum := hashOf(program)
	write := func(from, to int) *Partial {
		t.Helper()
		p, err := s.Partial(sum, int64(len(program)))
		if err != nil {
			t.Fatal(err)
		}
		if p.Offset() != int64(from) {
			t.Fatalf("offset %d, want %d", p.Offset(), from)
		}
		if n, err := p.Write([]byte(program[from:to])); err != nil || n != to-from {
			t.Fatal(n, err)
		}
		return p
	}
	p := write(0, 4)
	if _, err := s.Partial(sum, 100); !errors.Is(err, ErrBusy) {
		t.Errorf("a second goroutine: %v", err)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Path(sum); !errors.Is(err, ErrNotFound) {
		t.Errorf("a part is a program: %v", err)
	}
	again, err := Open(s.dir) // after a restart
	if err != nil {
		t.Fatal(err)
	}
	s = again
	p = write(4, len(program))
	if err := errors.Join(p.Commit(), p.Close()); err != nil {
		t.Error(err)
	}
	if err := p.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("committed again: %v", err)
	}
	path, err := s.Path(sum)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, []byte(program)) {
		t.Errorf("content %q, %v", got, err)
	}
	if got := files(t, s); !slices.Equal(got, []string{sum}) {
		t.Errorf("files %q", got)
	}
	p = write(0, 3) // is free again
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestPartialChecks(t *testing.T) {
	s := openStore(t)
	sum := hashOf(program)
	p, err := s.Partial(sum, int64(len(program)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte(strings.ToUpper(program))); err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(); !errors.Is(err, ErrHash) {
		t.Errorf("another hash: %v", err)
	}
	if got := files(t, s); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}

	p, err = s.Partial(sum, int64(len(program)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte(program + "x")); !errors.Is(err, ErrTooLarge) || p.Offset() != 0 {
		t.Errorf("too large: %v, offset %d", err, p.Offset())
	}
	s.fill(5)
	if n, err := p.Write([]byte(program)); !errors.Is(err, syscall.ENOSPC) || n != 5 || p.Offset() != 5 {
		t.Errorf("full: %d, %v, offset %d", n, err, p.Offset())
	}
	s.fill(1 << 20)
	if _, err := p.Write([]byte(program[5:])); err != nil { // there is room again
		t.Error(err)
	}
	if err := p.Commit(); err != nil {
		t.Error(err)
	}
}

func TestPutConcurrently(t *testing.T) {
	s := openStore(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, _, err := s.Put(strings.NewReader(program), 100); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := files(t, s); !slices.Equal(got, []string{hashOf(program)}) {
		t.Errorf("files %q", got)
	}
}
