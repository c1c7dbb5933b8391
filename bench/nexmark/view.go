// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// view is what the output of a query amounts to in the end: its rows, and how often each is there. A row is its fields as
// text, with tabs between them.
type view map[string]int

// textOf is the text of a row, with times in milliseconds.
func textOf(fields ...any) string {
	var row []byte
	for i, f := range fields {
		if i > 0 {
			row = append(row, '\t')
		}
		switch f := f.(type) {
		case nil:
			row = append(row, "null"...)
		case time.Time:
			row = strconv.AppendInt(row, f.UnixMilli(), 10)
		default:
			row = fmt.Append(row, f)
		}
	}
	return string(row)
}

// add adds a row n times. Rows that go before they came are there fewer than no times, until they come.
func (v view) add(row string, n int) {
	if v[row] += n; v[row] == 0 {
		delete(v, row)
	}
}

// rows is how many there are.
func (v view) rows() (n int) {
	for _, times := range v {
		n += times
	}
	return n
}

// latest is the view of upserts: the last row of each key holds, which is in the columns given.
func latest(upserts []string, key []int) view {
	last := map[string]string{}
	for _, row := range upserts {
		last[columns(strings.Split(row, "\t"), key)] = row
	}
	v := view{}
	for _, row := range last {
		v.add(row, 1)
	}
	return v
}

// columns is the text of some fields of a row.
func columns(fields []string, which []int) string {
	picked := make([]string, len(which))
	for i, c := range which {
		picked[i] = fields[c]
	}
	return strings.Join(picked, "\t")
}

// change takes a line of a changelog: the kind of a row, as Flink writes it, and the row.
func (v view) change(line string) error {
	kind, row, _ := strings.Cut(line, "\t")
	switch kind {
	case "+I", "+U":
		v.add(row, 1)
	case "-U", "-D":
		v.add(row, -1)
	default:
		return fmt.Errorf("a change of the unknown kind %q", kind)
	}
	return nil
}

// settled is an error where more of a row was taken back than was there.
func (v view) settled() error {
	for _, row := range slices.Sorted(maps.Keys(v)) {
		if v[row] < 0 {
			return fmt.Errorf("a row was taken back %d times more than it came: %s", -v[row], row)
		}
	}
	return nil
}

// rowMax is how long a line of a changelog may be.
const rowMax = 1 << 20

// changelogIn folds the changelogs in a directory, one for each subtask. A row may come in one of them and go in another, so
// their order must not matter, and does not.
func changelogIn(dir string) (view, error) {
	files, err := filepath.Glob(filepath.Join(dir, "part-*"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no changelog in %s", dir)
	}
	v := view{}
	for _, name := range files {
		if err := v.read(name); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return v, v.settled()
}

func (v view) read(name string) (err error) {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, rowMax)
	for lines.Scan() {
		if err := v.change(lines.Text()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// logIn has the rows of a log of bids in directories by day and minute: day, minute, then the columns. The first head lines of
// a file are none.
func logIn(dir, files string, head int) (view, error) {
	names, err := filepath.Glob(filepath.Join(dir, "day=*", "minute=*", files))
	if err != nil {
		return nil, err
	}
	v := view{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		minute := filepath.Dir(name)
		of := []any{
			strings.TrimPrefix(filepath.Base(filepath.Dir(minute)), "day="),
			strings.NewReplacer("%3A", ":", "-", ":").Replace(strings.TrimPrefix(filepath.Base(minute), "minute=")),
		}
		for _, row := range rows[min(head, len(rows)):] {
			fields := slices.Clone(of)
			for _, field := range row {
				fields = append(fields, millisText(field))
			}
			v.add(textOf(fields...), 1)
		}
	}
	return v, nil
}

// millisText is a time that Flink writes to CSV in milliseconds, and other text as it is.
func millisText(field string) string {
	if t, err := time.Parse("2006-01-02 15:04:05.999", field); err == nil {
		return strconv.FormatInt(t.UnixMilli(), 10)
	}
	return field
}

// differences are the rows that two views don't have equally often, as text: no more than limit, in the order of the rows.
func differences(ours, theirs view, limit int) []string {
	all := maps.Clone(ours)
	maps.Copy(all, theirs)
	var differ []string
	for _, row := range slices.Sorted(maps.Keys(all)) {
		if a, b := ours[row], theirs[row]; a != b && len(differ) < limit {
			differ = append(differ, fmt.Sprintf("%d here, %d there: %s", a, b, row))
		}
	}
	return differ
}
