// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// row is a row of the load job's result: the event Seq was the N-th of its key.
type row struct{ key, n, seq int64 }

// rows reads the committed files of a load job.
func rows(t testing.TB, dir string) (all []row) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		all = append(all, rowsOf(t, filepath.Join(dir, e.Name()))...)
	}
	return all
}

func rowsOf(t testing.TB, name string) (all []row) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	records, err := csv.NewReader(f).ReadAll()
	if err != nil || len(records) < 2 || strings.Join(records[0], ",") != "key,n,seq" {
		t.Fatalf("%s has %d lines, %v", name, len(records), err)
	}
	for _, record := range records[1:] {
		var r row
		for i, to := range []*int64{&r.key, &r.n, &r.seq} {
			if *to, err = strconv.ParseInt(record[i], 10, 64); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		all = append(all, r)
	}
	return all
}

// differencesMax is how many differences a test prints.
const differencesMax = 8

// compareLoad checks the rows of a load job: each event from 0 to events is in them once, and the numbers of each key are
// 1, 2, 3 ... once each. What else could be in its state would show there.
func compareLoad(t testing.TB, all []row, events, keys int64) {
	t.Helper()
	seen := make([]bool, events)
	type place struct{ key, n int64 }
	numbered := map[place]int64{}
	var wrong []string
	for _, r := range all {
		switch {
		case r.seq < 0 || r.seq >= events || r.key != r.seq%keys:
			wrong = append(wrong, fmt.Sprintf("%+v was never sent", r))
			continue
		case seen[r.seq]:
			wrong = append(wrong, fmt.Sprintf("%+v: the event is there twice", r))
		}
		seen[r.seq] = true
		if other, ok := numbered[place{r.key, r.n}]; ok {
			wrong = append(wrong, fmt.Sprintf("%+v: event %d has that number too", r, other))
		}
		numbered[place{r.key, r.n}] = r.seq
		if most := (events - r.key + keys - 1) / keys; r.n < 1 || r.n > most {
			wrong = append(wrong, fmt.Sprintf("%+v: the key has %d events", r, most))
		}
	}
	lost := 0
	for seq, there := range seen {
		if !there {
			if lost == 0 {
				wrong = append(wrong, fmt.Sprintf("event %d is lost", seq))
			}
			lost++
		}
	}
	if len(wrong) > 0 {
		t.Errorf("%d rows of %d events, %d events lost; %d faults:\n  %s", len(all), events, lost, len(wrong),
			strings.Join(wrong[:min(len(wrong), differencesMax)], "\n  "))
	}
}

// TestCompareLoad sees each kind of fault.
func TestCompareLoad(t *testing.T) {
	t.Parallel()
	good := []row{{0, 1, 0}, {1, 1, 1}, {0, 2, 2}, {1, 2, 3}, {0, 3, 4}}
	changed := func(i int, r row) []row {
		all := append([]row(nil), good...)
		all[i] = r
		return all
	}
	for name, tt := range map[string]struct {
		rows []row
		bad  bool
	}{
		"good":             {good, false},
		"lost":             {good[1:], true},
		"twice":            {append(changed(0, row{0, 1, 0}), row{1, 2, 3}), true},
		"a number twice":   {changed(2, row{0, 1, 2}), true},
		"too high":         {changed(4, row{0, 4, 4}), true},
		"of another key":   {changed(4, row{1, 3, 4}), true},
		"never sent":       {append(changed(0, good[0]), row{1, 3, 5}), true},
		"one for another":  {changed(0, row{0, 1, 2}), true},
		"in another order": {[]row{{0, 2, 0}, {1, 1, 1}, {0, 1, 2}, {1, 2, 3}, {0, 3, 4}}, false},
	} {
		r := &recorder{TB: t}
		compareLoad(r, tt.rows, 5, 2)
		if r.failed != tt.bad {
			t.Errorf("%s: failed %v, want %v", name, r.failed, tt.bad)
		}
	}
}

// recorder notes that a test would have failed.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }

func (r *recorder) Helper() {}
