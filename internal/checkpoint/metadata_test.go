// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"github.com/weir-stream/weir/internal/statebackend"
)

var rewrite = flag.Bool("rewrite", false, "write the golden file of the current format")

// sample has every field set.
func sample() *Metadata {
	return &Metadata{
		JobID: "7f3a9c0e5d1b4c2a8e6f0d9b3c5a7e11", JobName: "buyers", ID: 4711, Epoch: 3, Kind: Terminal,
		Trigger: time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC), Fingerprint: 0xfedcba9876543210,
		Operators: []Operator{
			{
				ID: "source-orders", UID: "orders", Name: "Source: orders", Parallelism: 2, MaxParallelism: 128,
				Enumerator: &Enumerator{State: []byte("splits to come"), Assigned: []int64{4, 0}},
				Subtasks:   []Subtask{{Finished: true}, {}},
			},
			{
				ID: "spend", UID: "spend", Name: "spend", Parallelism: 1, MaxParallelism: 128,
				Subtasks: []Subtask{{
					State: StateHandle{
						Segments: []Segment{
							{Checkpoint: 4709, Path: "state/00000000000000004709-spend-0-1", Size: 1 << 33, Bytes: 1 << 32, Checksum: 0xdeadbeef},
							{Checkpoint: 4711, Inline: []byte("small"), Size: 5, Bytes: 3, Checksum: 1},
						},
						States: []State{
							{Name: "total", Kind: statebackend.Keyed, Schema: []byte("schema of total"), Segments: []int{0, 1}},
							{Name: "seen", Kind: statebackend.List, Schema: []byte("schema of seen"), Segments: []int{1}, Rows: 12},
							{Name: "empty", Schema: []byte("schema of total")},
						},
					},
					Committables: []byte("commit me"),
				}},
			},
		},
	}
}

// withHistory is the sample as later versions write it.
func withHistory() *Metadata {
	m := sample()
	m.History = &History{
		Total: 20, Completed: 15, Restored: 2, Restarts: 3, Attempts: []int64{3, 0},
		Acknowledged: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC),
	}
	return m
}

func TestMetadataRoundTrip(t *testing.T) {
	want := sample()
	b, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("decoded differs (-want +got):\n%s", d)
	}
	if bytes.Count(b, []byte("schema of total")) != 1 {
		t.Error("a schema that two states share is stored more than once")
	}
	for i := range b {
		b[i] ^= 0xff
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error("decoded metadata aliases its source")
	}
}

// TestGolden holds the format: what version 1 wrote must be read for ever.
func TestGolden(t *testing.T) {
	for file, want := range map[string]*Metadata{
		"testdata/metadata-v1.bin": sample(), "testdata/metadata-v1-history.bin": withHistory(),
	} {
		t.Run(file, func(t *testing.T) { golden(t, file, want) })
	}
}

func golden(t *testing.T, file string, want *Metadata) {
	t.Helper()
	b, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if *rewrite {
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stored, b) {
		t.Error("Encode writes other bytes than the golden file holds")
	}
	got, err := Decode(stored)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("golden file decodes to (-want +got):\n%s", d)
	}
}

func TestEveryDamageIsFound(t *testing.T) {
	b, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for n := range b {
		if _, err := Decode(b[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
		for _, bit := range []byte{1, 128} {
			damaged := bytes.Clone(b)
			damaged[n] ^= bit
			if _, err := Decode(damaged); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
				t.Fatalf("bit %d of byte %d flipped: %v", bit, n, err)
			}
		}
	}
	if _, err := Decode(append(b, 0)); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("one byte more: %v", err)
	}
}

// reframe puts a frame around a body.
func reframe(body []byte) []byte {
	b := append([]byte(magic), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(b[8:], Version)
	binary.LittleEndian.PutUint64(b[12:], uint64(len(body)))
	b = append(b, body...)
	return binary.LittleEndian.AppendUint32(b, Checksum(b))
}

func TestLaterVersions(t *testing.T) {
	b, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	body := b[headerBytes : len(b)-4]

	t.Run("unknown fields are skipped", func(t *testing.T) {
		more := protowire.AppendString(protowire.AppendTag(bytes.Clone(body), 99, protowire.BytesType), "of the future")
		got, err := Decode(reframe(more))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(sample(), got); d != "" {
			t.Error(d)
		}
	})
	t.Run("unknown features are refused", func(t *testing.T) {
		more := protowire.AppendVarint(protowire.AppendTag(bytes.Clone(body), 1, protowire.VarintType), 1)
		if _, err := Decode(reframe(more)); !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "features 0x1") {
			t.Error(err)
		}
	})
	t.Run("later versions are refused", func(t *testing.T) {
		later := bytes.Clone(b)
		binary.LittleEndian.PutUint32(later[8:], Version+1)
		if _, err := Decode(later); !errors.Is(err, ErrVersion) {
			t.Error(err)
		}
	})
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		damage func(*Metadata)
		want   string
	}{
		{"no job", func(m *Metadata) { m.JobID = "" }, "no job id"},
		{"no id", func(m *Metadata) { m.ID = 0 }, "checkpoint id 0"},
		{"kind", func(m *Metadata) { m.Kind = 77 }, "kind(77)"},
		{"operator twice", func(m *Metadata) { m.Operators[1].ID = m.Operators[0].ID }, "given twice"},
		{"subtasks", func(m *Metadata) { m.Operators[0].Subtasks = nil }, "0 subtasks"},
		{"no place", func(m *Metadata) { m.Operators[1].Subtasks[0].State.Segments[0].Path = "" }, "segment 0"},
		{"segment", func(m *Metadata) { m.Operators[1].Subtasks[0].State.States[0].Segments = []int{2} }, `state "total"`},
		{"order", func(m *Metadata) { m.Operators[1].Subtasks[0].State.States[0].Segments = []int{1, 0} }, `state "total"`},
	} {
		m := sample()
		tc.damage(m)
		if _, err := m.Encode(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestRandomMetadata(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := randomMetadata(t)
		b, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		again, err := got.Encode()
		if err != nil || !bytes.Equal(b, again) {
			t.Fatalf("second encoding differs: %v", err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	})
}

func randomMetadata(t *rapid.T) *Metadata {
	data := rapid.Custom(func(t *rapid.T) []byte {
		return []byte(rapid.StringN(1, 5, 20).Draw(t, "data"))
	})
	m := &Metadata{JobID: "job", ID: rapid.Int64Range(1, 1<<62).Draw(t, "id"), Kind: Kind(rapid.IntRange(1, 5).Draw(t, "kind"))}
	for i := range rapid.IntRange(0, 4).Draw(t, "operators") {
		o := Operator{ID: OperatorID(string(rune('a' + i))), Parallelism: rapid.IntRange(1, 4).Draw(t, "p"), MaxParallelism: 32768}
		for range o.Parallelism {
			s := Subtask{Finished: rapid.Bool().Draw(t, "finished")}
			for j := range rapid.IntRange(0, 3).Draw(t, "segments") {
				s.State.Segments = append(s.State.Segments, Segment{Checkpoint: int64(j), Inline: data.Draw(t, "inline"), Size: rapid.Int64Min(0).Draw(t, "size")})
				s.State.States = append(s.State.States, State{Name: "s", Schema: data.Draw(t, "schema"), Segments: []int{j}})
			}
			o.Subtasks = append(o.Subtasks, s)
		}
		m.Operators = append(m.Operators, o)
	}
	return m
}

func FuzzDecode(f *testing.F) {
	b, err := sample().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[headerBytes : len(b)-4])
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := Decode(reframe(body))
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
				t.Fatalf("error without a kind: %v", err)
			}
			return
		}
		if _, err := m.Encode(); err != nil {
			t.Fatalf("what was decoded can't be encoded: %v", err)
		}
	})
}
