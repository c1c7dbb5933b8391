// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/weir-stream/weir/internal/checkpoint"
)

// Memory keeps objects in memory, for jobs without a checkpoint directory: they recover from failures of their tasks,
// and commit what they wrote, but don't outlive their process.
func Memory() Objects {
	m := &memory{}
	m.mu.objects = map[string][]byte{}
	return m
}

type memory struct {
	mu struct {
		sync.Mutex
		objects map[string][]byte // contents never change
	}
}

var _ Objects = (*memory)(nil)

const memoryLocation = "memory:///"

func (m *memory) Location() string { return memoryLocation }

func memoryName(name string) string { return strings.TrimPrefix(name, memoryLocation) }

func (m *memory) Create(_ context.Context, name string, data []byte) (bool, error) {
	return m.create(name, bytes.Clone(data)), nil
}

func (m *memory) create(name string, data []byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.mu.objects[name]; taken {
		return false
	}
	m.mu.objects[name] = data
	return true
}

func (m *memory) Put(_ context.Context, name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.objects[name] = bytes.Clone(data)
	return nil
}

func (m *memory) Refresh(ctx context.Context, name string, data []byte) error {
	return m.Put(ctx, name, data)
}

func (m *memory) Look(ctx context.Context, dir string) ([]string, error) { return m.List(ctx, dir) }

func (m *memory) get(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.mu.objects[memoryName(name)]
	if !ok {
		return nil, fmt.Errorf("open %s: %w", checkpoint.Join(memoryLocation, name), fs.ErrNotExist)
	}
	return b, nil
}

func (m *memory) Get(_ context.Context, name string) ([]byte, error) {
	b, err := m.get(name)
	return bytes.Clone(b), err
}

func (m *memory) List(_ context.Context, dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := map[string]bool{}
	var names []string
	for name := range m.mu.objects {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok || dir == "" {
			if dir == "" {
				rest = name
			}
			first, _, _ := strings.Cut(rest, "/")
			if !seen[first] {
				seen[first] = true
				names = append(names, first)
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

func (m *memory) Remove(_ context.Context, names ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range names {
		delete(m.mu.objects, memoryName(n))
	}
	return nil
}

func (m *memory) RemoveDir(context.Context, string) error { return nil }

func (m *memory) NewWriter(_ context.Context, name string) (Writer, error) {
	return &memoryWriter{m: m, name: name}, nil
}

type memoryWriter struct {
	m    *memory
	name string
	buf  bytes.Buffer
}

func (w *memoryWriter) Write(b []byte) (int, error) { return w.buf.Write(b) }

func (w *memoryWriter) Close() error {
	if !w.m.create(w.name, w.buf.Bytes()) {
		return fmt.Errorf("create %s: %w", checkpoint.Join(memoryLocation, w.name), fs.ErrExist)
	}
	return nil
}

func (w *memoryWriter) Abort() error {
	w.buf = bytes.Buffer{}
	return nil
}

func (m *memory) Open(_ context.Context, name string) (Object, error) {
	b, err := m.get(name)
	if err != nil {
		return nil, err
	}
	return memoryObject{bytes.NewReader(b)}, nil
}

type memoryObject struct{ *bytes.Reader }

func (memoryObject) Close() error { return nil }

var _ io.ReaderAt = memoryObject{}
