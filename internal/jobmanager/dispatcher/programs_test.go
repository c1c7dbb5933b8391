// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/weir-stream/weir/internal/artifacts"
	"github.com/weir-stream/weir/internal/process"
	"github.com/weir-stream/weir/internal/rest"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

func TestUpload(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		d := w.lead(1, func(c *Config) { c.UploadBytesMax = 100 })
		ps := d.Programs()
		upload := func(name string, r io.Reader) error {
			_, err := ps.Upload(t.Context(), name, r)
			return err
		}
		for _, name := range []string{"", ".", "..", "../a", "a/b", `a\b`, ".hidden", "a\nb", "a\x00", strings.Repeat("a", 300)} {
			if err := upload(name, bytes.NewReader(executable())); !errors.Is(err, rest.ErrInvalid) {
				t.Errorf("name %q: %v", name, err)
			}
		}
		var large *http.MaxBytesError
		if err := upload("a", strings.NewReader(strings.Repeat("x", 101))); !errors.As(err, &large) {
			t.Errorf("too large: %v", err)
		}
		if err := upload("a", iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a client that leaves: %v", err)
		}
		if runtime.GOOS == "linux" {
			if err := upload("a", strings.NewReader("#!/bin/sh\n")); !errors.Is(err, rest.ErrInvalid) {
				t.Errorf("no program: %v", err)
			}
		}
		first := w.program(d, "a")
		time.Sleep(time.Second)
		second := w.program(d, "b")
		if again := w.program(d, "a"); again.ID != first.ID || !again.Uploaded.Equal(first.Uploaded) {
			t.Errorf("uploaded again: %+v, before %+v", again, first)
		}
		all, err := ps.List(t.Context())
		if err != nil || len(all) != 2 || all[0].ID != second.ID || all[0].SHA256 != all[1].SHA256 {
			t.Errorf("listed %+v, %v", all, err)
		}
		must(t, ps.Delete(t.Context(), first.ID))
		if _, err := w.artifacts.Path(first.SHA256); err != nil {
			t.Errorf("another program has the same content: %v", err)
		}
		must(t, ps.Delete(t.Context(), second.ID))
		if _, err := w.artifacts.Path(first.SHA256); !errors.Is(err, artifacts.ErrNotFound) {
			t.Errorf("content that nothing needs: %v", err)
		}
		if err := ps.Delete(t.Context(), second.ID); !errors.Is(err, rest.ErrNotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		must(t, d.Close(false))
	})
}

// TestDeleteWhileAJobRuns keeps the content until the job has ended.
func TestDeleteWhileAJobRuns(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		d := w.lead(1)
		id, m := w.run(d)
		p := w.program2(d)
		must(t, d.Programs().Delete(t.Context(), p))
		m.crash()
		m = w.master()
		w.ready(d, id)
		m.finish(&weirpb.JobResult{State: stateFinished})
		w.await(d, id, stateFinished)
		hash, _, _ := strings.Cut(p, "_")
		must(t, d.Close(false))
		if _, err := w.artifacts.Path(hash); !errors.Is(err, artifacts.ErrNotFound) {
			t.Errorf("content that nothing needs: %v", err)
		}
	})
}

// TestUploadsAndDeletesAtOnce has the same content come and go: an upload that succeeded is whole.
func TestUploadsAndDeletesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.lead(1)
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			name := fmt.Sprint("p", n)
			for range 20 {
				p, err := d.Programs().Upload(t.Context(), name, bytes.NewReader(executable()))
				if err == nil {
					_, err = w.artifacts.Path(p.SHA256)
				}
				if err == nil {
					err = d.Programs().Delete(t.Context(), p.ID)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	must(t, d.Close(false))
	hash, _, err := w.artifacts.Put(bytes.NewReader(executable()), 1000)
	must(t, err)
	must(t, w.artifacts.Remove(hash))
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		t.Helper()
		runs := 0
		w.describe = func(spec *weirpb.RoleSpec) (*weirpb.Description, error) {
			runs++
			switch {
			case slices.Contains(spec.GetArguments(), "--crash"):
				return nil, process.ErrCrashed
			case slices.Contains(spec.GetArguments(), "--bad"):
				return &weirpb.Description{Jobs: []*weirpb.JobDescription{{Job: "a", Error: "no such file"}}}, nil
			case slices.Contains(spec.GetArguments(), "--none"):
				return &weirpb.Description{}, nil
			}
			return &weirpb.Description{Jobs: []*weirpb.JobDescription{described("a"), described("b")}}, nil
		}
		d := w.lead(1)
		p := w.program(d, "two")
		for range 3 {
			got, err := d.Programs().Describe(t.Context(), rest.Run{Program: p.ID, Job: "b"})
			if err != nil || got.GetJob() != "b" || runs != 1 {
				t.Errorf("described %v, %v, by %d runs", got, err, runs)
			}
		}
		if _, err := d.Programs().Describe(t.Context(), rest.Run{Program: p.ID, Job: "b", Parallelism: 3}); err != nil || runs != 2 {
			t.Errorf("with another parallelism: %v, by %d runs", err, runs)
		}
		if list, err := d.Programs().List(t.Context()); err != nil || !slices.Equal(list[0].Jobs, []string{"a", "b"}) {
			t.Errorf("listed %+v, %v", list, err)
		}
		for _, tt := range []struct {
			run  rest.Run
			kind error
			text string
		}{
			{rest.Run{Program: "x"}, rest.ErrNotFound, "x"},
			{rest.Run{Program: p.ID}, rest.ErrInvalid, "a, b"},
			{rest.Run{Program: p.ID, Job: "c"}, rest.ErrInvalid, "a, b"},
			{rest.Run{Program: p.ID, Arguments: []string{"--crash"}}, rest.ErrInvalid, "crashed"},
			{rest.Run{Program: p.ID, Arguments: []string{"--bad"}}, rest.ErrInvalid, "no such file"},
			{rest.Run{Program: p.ID, Arguments: []string{"--none"}}, rest.ErrInvalid, "names no job"},
			{rest.Run{Program: p.ID, Job: "a", Dir: "relative"}, rest.ErrInvalid, "absolute"},
			{rest.Run{Program: p.ID, Job: "a", JobID: "x"}, rest.ErrInvalid, "hexadecimal"},
			{rest.Run{Program: p.ID, Job: "a", Savepoint: "/no/savepoint"}, rest.ErrInvalid, "/no/savepoint"},
			{rest.Run{Program: p.ID, Job: "a", Savepoint: "relative"}, rest.ErrInvalid, "absolute"},
			{rest.Run{Program: p.ID, Job: "a", Described: &weirpb.JobDescription{Error: "bad"}}, rest.ErrInvalid, "bad"},
		} {
			_, err := d.Programs().Run(t.Context(), tt.run)
			if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("run %+v: %v", tt.run, err)
			}
		}
		must(t, d.Close(false))
		w.quiet()
	})
}

func TestOneIDOneJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.lead(1)
	p := w.program(d, "flights")
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = d.Programs().Run(t.Context(), rest.Run{Program: p.ID, JobID: jobA, Settings: map[string]string{"a": "b"}})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, rest.ErrConflict) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d of one id were admitted", won)
	}
	must(t, d.Close(false))
	w.quiet()
	if n := w.starts.Load(); n > 1 {
		t.Errorf("%d JobMasters were started", n)
	}
}
