// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-stream/weir/internal/artifacts"
)

// program is content of a size that takes many chunks.
func program(size int) []byte {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(data) // never fails
	return data
}

func put(t *testing.T, s *artifacts.Store, data []byte) string {
	t.Helper()
	sum, _, err := s.Put(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func cache(t *testing.T) *artifacts.Store {
	t.Helper()
	s, err := artifacts.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func contains(t *testing.T, s *artifacts.Store, sum string, want []byte) {
	t.Helper()
	path, err := s.Path(sum)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("fetched %d bytes, %v; want %d", len(got), err, len(want))
	}
}

func TestFetch(t *testing.T) {
	jm := serve(t, nil)
	tm := connect(t, "tm", jm.Addr())
	for _, size := range []int{0, 1, chunkBytes, 5*chunkBytes + 1} {
		data := program(size)
		sum := put(t, jm.store, data)
		to := cache(t)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := tm.Fetch(t.Context(), sum, to); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		contains(t, to, sum, data)
	}
}

// TestFetchResumes breaks the connection again and again: no byte is sent twice for it.
func TestFetchResumes(t *testing.T) {
	jm := serve(t, nil)
	proxy := proxyTo(t, jm.Addr())
	tm := connect(t, "tm", proxy.Addr())
	data := program(8 << 20)
	sum := put(t, jm.store, data)
	to := cache(t)
	before := proxy.Passed()
	proxy.DropAfter(2 << 20)
	done := make(chan error, 1)
	go func() { done <- tm.Fetch(t.Context(), sum, to) }() // Owner: this test, which waits for done
	_ = await(t, "lost", tm.lost)
	proxy.DropAfter(3 << 20)
	_ = await(t, "lost again", tm.lost)
	if err := await(t, "fetch", done); err != nil {
		t.Fatal(err)
	}
	contains(t, to, sum, data)
	// What was under way when the connection broke is sent again: windows of gRPC and buffers of sockets, no more.
	if passed := proxy.Passed() - before; passed > int64(len(data))*3/2 {
		t.Errorf("%d bytes passed for %d", passed, len(data))
	}
}

// TestFetchGoesOn from what an earlier process left, right or wrong.
func TestFetchGoesOn(t *testing.T) {
	jm := serve(t, nil)
	tm := connect(t, "tm", jm.Addr())
	data := program(3 * chunkBytes)
	sum := put(t, jm.store, data)
	for name, beginning := range map[string][]byte{
		"right": data[:chunkBytes+7], "whole": data, "wrong": make([]byte, 100), "too long": make([]byte, len(data)+1),
	} {
		t.Run(name, func(t *testing.T) {
			to := cache(t)
			p, err := to.Partial(sum, ArtifactBytesMax)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Write(beginning); err != nil {
				t.Fatal(err)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			if err := tm.Fetch(t.Context(), sum, to); err != nil {
				t.Fatal(err)
			}
			contains(t, to, sum, data)
		})
	}
}

func TestFetchRefuses(t *testing.T) {
	jm := serve(t, nil)
	tm := connect(t, "tm", jm.Addr())
	to := cache(t)
	sum := put(t, jm.store, program(1000))
	path, err := jm.store.Path(sum)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, program(999), 0o600); err != nil { // the disk of the JobManager is bad
		t.Fatal(err)
	}
	if err := tm.Fetch(t.Context(), sum, to); !errors.Is(err, artifacts.ErrHash) {
		t.Errorf("another content: %v", err)
	}
	if _, err := to.Path(sum); !errors.Is(err, artifacts.ErrNotFound) {
		t.Errorf("it was kept: %v", err)
	}
	if p, err := to.Partial(sum, 10); err != nil || p.Offset() != 0 || p.Close() != nil {
		t.Errorf("some of it was kept: %v, %v", p, err)
	}
	if err := tm.Fetch(t.Context(), strings.Repeat("0", 64), to); !errors.Is(err, artifacts.ErrNotFound) {
		t.Errorf("what isn't there: %v", err)
	}
	if err := tm.Fetch(t.Context(), "../x", to); !errors.Is(err, artifacts.ErrBadHash) {
		t.Errorf("no hash: %v", err)
	}
}

func TestFetchEnds(t *testing.T) {
	tm := connect(t, "tm", proxyTo(t, "127.0.0.1:1").Addr())
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, io.ErrNoProgress)
	defer cancel()
	if err := tm.Fetch(ctx, strings.Repeat("0", 64), cache(t)); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("no connection: %v", err)
	}
	tm.Stop()
	if err := tm.Fetch(t.Context(), strings.Repeat("0", 64), cache(t)); !errors.Is(err, errStopped) {
		t.Errorf("after Stop: %v", err)
	}
}
