// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package statefile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/statebackend"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// disk keeps files in memory. Its gate, if set, holds up each write until something can be received.
type disk struct {
	mu                             sync.Mutex
	files                          map[string][]byte
	gate                           chan struct{}
	createErr, writeErr, closeErr  error
	created, aborted, opened, shut int
}

func newDisk() *disk { return &disk{files: map[string][]byte{}} }

type diskFile struct {
	d    *disk
	path string
	buf  bytes.Buffer
}

func (d *disk) create(path string) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.created++
	return &diskFile{d: d, path: path}, d.createErr
}

func (f *diskFile) Write(b []byte) (int, error) {
	if f.d.gate != nil {
		<-f.d.gate
	}
	if f.d.writeErr != nil {
		return 0, f.d.writeErr
	}
	return f.buf.Write(b)
}

func (f *diskFile) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.closeErr != nil {
		return f.d.closeErr
	}
	f.d.files[f.path] = f.buf.Bytes()
	return nil
}

func (f *diskFile) Abort() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.d.aborted++
	return nil
}

type diskObject struct {
	*bytes.Reader
	d *disk
}

func (o diskObject) Close() error {
	o.d.shut++
	return nil
}

func (d *disk) open(path string) (Object, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, ok := d.files[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	d.opened++
	return diskObject{bytes.NewReader(b), d}, nil
}

func (d *disk) storage(subtask int, o Options, restore *checkpoint.Metadata) *Storage {
	return NewStorage(Config{
		Restore: restore, Open: d.open, Create: d.create, Options: o,
		Name: func(id int64) string { return fmt.Sprintf("state/%d-%d", id, subtask) },
	})
}

// result is what done of Finish was called with.
type result struct {
	state []checkpoint.OperatorState
	bytes int64
	err   error
}

// finish ends a snapshot and waits for its end.
func finish(t *testing.T, x *Snapshot, states ...OperatorStates) result {
	t.Helper()
	c := make(chan result, 1)
	x.Finish(states, func(state []checkpoint.OperatorState, bytes int64, err error) { c <- result{state, bytes, err} })
	return <-c
}

func block(state string, kind statebackend.Kind, group, rows int, data string) statebackend.Block {
	return statebackend.Block{State: state, Kind: kind, KeyGroup: group, Rows: rows, Data: []byte(data)}
}

func write(t *testing.T, w statebackend.Writer, blocks ...statebackend.Block) {
	t.Helper()
	for _, b := range blocks {
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
}

// metadata of a checkpoint of one operator, from the states of its subtasks.
func metadata(t *testing.T, id int64, maxParallelism int, subtasks ...[]checkpoint.OperatorState) *checkpoint.Metadata {
	t.Helper()
	op := checkpoint.Operator{ID: "op", Parallelism: len(subtasks), MaxParallelism: maxParallelism}
	for _, states := range subtasks {
		// As the acknowledgement carries it.
		decoded, err := checkpoint.DecodeTaskState(checkpoint.EncodeTaskState(states))
		if err != nil {
			t.Fatal(err)
		}
		op.Subtasks = append(op.Subtasks, checkpoint.Subtask{State: decoded[0].State})
	}
	m := &checkpoint.Metadata{JobID: "job", ID: id, Kind: checkpoint.Periodic, Operators: []checkpoint.Operator{op}}
	b, err := m.Encode()
	if err == nil {
		m, err = checkpoint.Decode(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// read collects the blocks of a state as text.
func read(t *testing.T, r statebackend.Reader, state string) (blocks []string) {
	t.Helper()
	for b, err := range r.Blocks(state) {
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, fmt.Sprintf("%d/%d:%d %s", b.Kind, b.KeyGroup, b.Rows, b.Data))
	}
	return blocks
}

func reader(t *testing.T, s *Storage, share Share) statebackend.Reader {
	t.Helper()
	r, err := s.Restored("op", share)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var errDisk = errors.New("the disk is on fire")
