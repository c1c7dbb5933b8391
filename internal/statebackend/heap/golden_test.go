// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-stream/weir/internal/statebackend"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// stored is a state as the golden file has it: a full checkpoint and an increment on it.
type stored struct {
	Schema []byte
	Full   []statebackend.Block
	Delta  []statebackend.Block
}

// TestGoldenBlocks holds the format of blocks: what is written, and that what was written once is read.
func TestGoldenBlocks(t *testing.T) {
	t.Parallel()
	r := newRig[session](t)
	visit := func(k, now int64) {
		r.key = k
		r.at(now, func(s *session) {
			s.Total += k
			s.Visits++
			s.Name = "n"
			s.Last.Set(int32(k))
			s.Pages.Append("p")
			s.Forever.Append("f")
		})
	}
	for k := range int64(60) {
		visit(k, 100)
	}
	m := statebackend.NewMemory(testGroups)
	full, delta := m.Writer(1, 1, 0), m.Writer(2, 1, 0)
	r.begin(1, 0)
	r.finish(full)
	r.completed(1)
	visit(0, 200)
	visit(60, 300)
	r.Delete(r.hashOf(1), new(int64(1)))
	r.begin(2, 0)
	r.finish(delta)

	got := stored{r.Schema(), full.Blocks("rows"), delta.Blocks("rows")}
	name := filepath.Join("testdata", "v1.golden.json")
	if *rewrite {
		text, err := json.MarshalIndent(got, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var golden stored
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(golden, got); d != "" {
		t.Errorf("the format changed: it needs a version and a reader of the old one\n%s", d)
	}
	reader, err := m.Reader(2, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	restored := newRig[session](t)
	restored.SetNow(300)
	if err := restored.Restore(fixed{reader, append(golden.Full, golden.Delta...)}); err != nil {
		t.Fatal(err)
	}
	if n := restored.Size().Rows; n != 60 {
		t.Errorf("%d rows, want 60", n)
	}
	for k, row := range restored.All() {
		visits := int64(1)
		if *k == 0 {
			visits = 2
		}
		if last, ok := row.Last.Get(); row.Visits != visits || row.Total != visits**k || row.Pages.Len() != int(visits) || !ok || int64(last) != *k || *k == 1 {
			t.Errorf("row %d is %+v", *k, row)
		}
	}
}
