// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package statefile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weir-stream/weir/internal/checkpoint"
	"github.com/weir-stream/weir/internal/statebackend"
)

const keyed = statebackend.Keyed

// TestOneFileForAChain writes two operators with several states, as a file and inline, compressed and not.
func TestOneFileForAChain(t *testing.T) {
	long := strings.Repeat("long ", 2000)
	for _, o := range []Options{{}, {InlineBytes: -1}, {InlineBytes: -1, Compress: true}, {InlineBytes: -1, Buffers: 64, BufferBytes: 256}} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			d := newDisk()
			s := d.storage(0, o, nil)
			x := s.Begin(7, nil)
			write(t, x.Operator("a"), block("rows", keyed, 3, 2, long), block("rows", keyed, 3, 1, "x"))
			write(t, x.Operator("b"), block("rows", keyed, 0, 9, "of b"), block("offsets", statebackend.List, -1, 4, "list"))
			write(t, x.Operator("a"), block("gone", statebackend.Deleted, 5, 1, ""), block("rows", keyed, 1, 1, "y"))
			res := finish(t, x,
				OperatorStates{"a", []StateInfo{{Name: "rows", Schema: []byte("sa")}, {Name: "gone"}, {Name: "empty", Schema: []byte("se")}}},
				OperatorStates{"b", []StateInfo{{Name: "rows"}, {Name: "offsets"}}},
				OperatorStates{"c", []StateInfo{{Name: "rows"}}})
			if res.err != nil {
				t.Fatal(res.err)
			}
			m := &checkpoint.Metadata{}
			var sum int64
			for _, op := range res.state {
				m.Operators = append(m.Operators, checkpoint.Operator{ID: op.Operator, Parallelism: 1, MaxParallelism: 8, Subtasks: []checkpoint.Subtask{{State: op.State}}})
				sum += op.State.Bytes()
			}
			if sum != res.bytes || sum == 0 {
				t.Errorf("%d bytes written, segments have %d", res.bytes, sum)
			}
			if files := len(d.files); (o.InlineBytes < 0) != (files == 1) {
				t.Errorf("%d files", files)
			}
			from := d.storage(0, Options{}, m)
			for _, want := range []struct {
				op     checkpoint.OperatorID
				state  string
				schema string
				blocks []string
			}{
				{"a", "rows", "sa", []string{"1/3:2 " + long, "1/3:1 x", "1/1:1 y"}},
				{"a", "gone", "", []string{"2/5:1 "}},
				{"a", "empty", "se", nil},
				{"a", "other", "", nil},
				{"b", "rows", "", []string{"1/0:9 of b"}},
				{"b", "offsets", "", []string{"3/-1:4 list"}},
				{"c", "rows", "", nil},
			} {
				r, err := from.Restored(want.op, Share{0, 1, 8})
				if err != nil {
					t.Fatal(err)
				}
				if got := read(t, r, want.state); !slices.Equal(got, want.blocks) || string(r.Schema(want.state)) != want.schema {
					t.Errorf("%s of %s: %.80q, schema %q", want.state, want.op, got, r.Schema(want.state))
				}
			}
			if r, err := from.Restored("d", Share{0, 1, 8}); r != nil || err != nil {
				t.Errorf("an operator that the checkpoint lacks: %v, %v", r, err)
			}
			if d.opened != d.shut {
				t.Errorf("%d files opened, %d closed", d.opened, d.shut)
			}
			s.Wait()
		})
	}
}

func TestSnapshotWithoutBlocksMakesNoFile(t *testing.T) {
	d := newDisk()
	s := d.storage(0, Options{InlineBytes: -1}, nil)
	res := finish(t, s.Begin(1, nil), OperatorStates{"op", []StateInfo{{Name: "rows", Schema: []byte("s")}}})
	if res.err != nil || d.created != 0 || len(res.state[0].State.Segments) != 0 {
		t.Errorf("%+v, %d files", res, d.created)
	}
	if r := reader(t, d.storage(0, Options{}, metadata(t, 1, 8, res.state)), Share{0, 1, 8}); string(r.Schema("rows")) != "s" {
		t.Error("the schema of an empty state is lost")
	}
}

// TestSlowDisk shows that the task is told to wait, and refused if it does not.
func TestSlowDisk(t *testing.T) {
	d := newDisk()
	d.gate = make(chan struct{})
	roomy := make(chan struct{}, 1)
	s := d.storage(0, Options{Buffers: 4, BufferBytes: 1024, InlineBytes: -1}, nil)
	x := s.Begin(1, func() { roomy <- struct{}{} })
	w := x.Operator("op")
	data := strings.Repeat("r", 300)
	n := 0
	for ; w.Room(); n++ {
		write(t, w, block("rows", keyed, n%8, 1, data))
	}
	if n < 9 || n > 12 {
		t.Errorf("room for %d blocks of 328 bytes in four buffers of 1 KB", n)
	}
	for refused := false; !refused; n++ {
		switch err := w.Write(block("rows", keyed, n%8, 1, data)); {
		case errors.Is(err, ErrFull):
			refused = true
			n--
		case err != nil || n > 13:
			t.Fatal(n, err)
		}
	}
	select {
	case <-roomy:
		t.Error("it is told of room while nothing was written")
	default:
	}
	close(d.gate)
	<-roomy
	res := finish(t, x, OperatorStates{"op", []StateInfo{{Name: "rows"}}})
	if res.err != nil {
		t.Fatal(res.err)
	}
	r := reader(t, d.storage(0, Options{}, metadata(t, 1, 8, res.state)), Share{0, 1, 8})
	if got := len(read(t, r, "rows")); got != n {
		t.Errorf("%d blocks read, %d written", got, n)
	}
}

// TestRoomComesBack drives more through the buffers than they hold, with blocks of all sizes: whoever waits for room is
// told, and where there is room, the next block is taken.
func TestRoomComesBack(t *testing.T) {
	d := newDisk()
	d.gate = make(chan struct{})
	s := d.storage(0, Options{Buffers: 2, BufferBytes: 512, InlineBytes: -1}, nil)
	roomy := make(chan struct{}, 1)
	x := s.Begin(1, func() { roomy <- struct{}{} })
	w := x.Operator("op")
	waited := 0
	for n := range 200 {
		for !w.Room() {
			if n := x.b.waiting(); n > 2*512+1400 {
				t.Fatalf("%d bytes wait", n)
			}
			for told := false; !told; waited++ {
				select {
				case d.gate <- struct{}{}: // one more write of the disk
				case <-roomy:
					told = true
				}
			}
		}
		write(t, w, block("rows", keyed, n%8, 1, fmt.Sprint(n)+strings.Repeat(".", n*37%1300)))
	}
	close(d.gate)
	if waited < 20 {
		t.Errorf("it waited %d times for 130 KB in 1 KB of buffers", waited)
	}
	res := finish(t, x, OperatorStates{"op", []StateInfo{{Name: "rows"}}})
	if res.err != nil {
		t.Fatal(res.err)
	}
	got := read(t, reader(t, d.storage(0, Options{}, metadata(t, 1, 8, res.state)), Share{0, 1, 8}), "rows")
	for n, b := range got {
		if !strings.HasPrefix(b[strings.IndexByte(b, ' ')+1:]+".", fmt.Sprint(n, ".")) {
			t.Fatalf("block %d is %.30s", n, b)
		}
	}
	if len(got) != 200 {
		t.Errorf("%d blocks", len(got))
	}
}

// waiting is how many bytes are not written.
func (b *Builder) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.bytes + len(b.current)
}

func TestBlockLargerThanAllBuffers(t *testing.T) {
	d := newDisk()
	s := d.storage(0, Options{Buffers: 2, BufferBytes: 512}, nil)
	x := s.Begin(1, nil)
	w := x.Operator("op")
	large := strings.Repeat("large", 10_000)
	write(t, w, block("rows", keyed, 1, 1, "small"), block("rows", keyed, 1, 1, large))
	res := finish(t, x, OperatorStates{"op", []StateInfo{{Name: "rows"}}})
	if res.err != nil {
		t.Fatal(res.err)
	}
	got := read(t, reader(t, d.storage(0, Options{}, metadata(t, 1, 8, res.state)), Share{0, 1, 8}), "rows")
	if want := []string{"1/1:1 small", "1/1:1 " + large}; !slices.Equal(got, want) {
		t.Errorf("read %.60q", got)
	}
}

func TestDiskFails(t *testing.T) {
	for name, fail := range map[string]func(*disk){
		"create": func(d *disk) { d.createErr = errDisk },
		"write":  func(d *disk) { d.writeErr = errDisk },
		"close":  func(d *disk) { d.closeErr = errDisk },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk()
			fail(d)
			s := d.storage(0, Options{Buffers: 2, BufferBytes: 128, InlineBytes: -1}, nil)
			roomy := make(chan struct{}, 1)
			x := s.Begin(1, func() { roomy <- struct{}{} })
			w := x.Operator("op")
			var err error
			for n := 0; err == nil && (name != "close" || n < 20); n++ {
				if !w.Room() {
					<-roomy
					continue
				}
				err = w.Write(block("rows", keyed, 0, 1, "some rows"))
			}
			if name != "close" && !errors.Is(err, errDisk) {
				t.Errorf("writes go on: %v", err)
			}
			if res := finish(t, x, OperatorStates{"op", []StateInfo{{Name: "rows"}}}); !errors.Is(res.err, errDisk) {
				t.Errorf("finished with %v", res.err)
			}
			s.Wait()
			if len(d.files) > 0 || name != "create" && d.aborted == 0 {
				t.Errorf("%d files left, %d aborted", len(d.files), d.aborted)
			}
		})
	}
}

func TestAbort(t *testing.T) {
	states := OperatorStates{"op", []StateInfo{{Name: "rows"}}}
	t.Run("before anything", func(t *testing.T) {
		s := newDisk().storage(0, Options{}, nil)
		s.Begin(1, nil).Abort()
		s.Wait()
	})
	t.Run("while writing", func(t *testing.T) {
		d := newDisk()
		s := d.storage(0, Options{Buffers: 2, BufferBytes: 64, InlineBytes: -1}, nil)
		x := s.Begin(1, nil)
		write(t, x.Operator("op"), block("rows", keyed, 0, 1, "one"), block("rows", keyed, 0, 1, strings.Repeat("two", 20)))
		x.Abort()
		s.Wait()
		if len(d.files) > 0 {
			t.Error("a file is left")
		}
	})
	t.Run("after finish", func(t *testing.T) {
		d := newDisk()
		d.gate = make(chan struct{})
		s := d.storage(0, Options{InlineBytes: -1}, nil)
		x := s.Begin(1, nil)
		write(t, x.Operator("op"), block("rows", keyed, 0, 1, "one"), block("rows", keyed, 0, 1, "two"))
		ended := make(chan error, 1)
		x.Finish([]OperatorStates{states}, func(_ []checkpoint.OperatorState, _ int64, err error) { ended <- err })
		x.Abort()
		close(d.gate)
		// It may be too late: then the file is whole.
		if err := <-ended; err == nil != (len(d.files) == 1) {
			t.Errorf("%v, %d files", err, len(d.files))
		}
		s.Wait()
	})
}

func TestWriteRefusesWhatTheFormatCantHold(t *testing.T) {
	w := newDisk().storage(0, Options{}, nil).Begin(1, nil).Operator("op")
	for _, b := range []statebackend.Block{{State: "s", Kind: keyed, KeyGroup: -2}, {State: "s", Kind: keyed, KeyGroup: 1 << 16}} {
		if err := w.Write(b); err == nil {
			t.Errorf("key group %d was taken", b.KeyGroup)
		}
	}
}

func BenchmarkWriter(b *testing.B) {
	data := bytes.Repeat([]byte("0123456789abcdef 00000000 key value; "), 1700) // 63 KB
	for _, compress := range []bool{false, true} {
		b.Run(fmt.Sprintf("zstd=%v", compress), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			s := NewStorage(Config{
				Create: func(string) (File, error) { return discard{}, nil }, Name: func(int64) string { return "f" },
				Options: Options{Compress: compress},
			})
			roomy := make(chan struct{}, 1)
			x := s.Begin(1, func() { roomy <- struct{}{} })
			w := x.Operator("op")
			for b.Loop() {
				if !w.Room() { // the writing goroutine is behind: what is measured is both
					<-roomy
				}
				if err := w.Write(statebackend.Block{State: "rows", Kind: keyed, Rows: 1000, Data: data}); err != nil {
					b.Fatal(err)
				}
			}
			x.Abort()
			s.Wait()
		})
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) Close() error                { return nil }
func (discard) Abort() error                { return nil }
