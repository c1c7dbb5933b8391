// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// filesIn makes files of the names and texts given.
func filesIn(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestChangelog folds changes of all kinds. A row may go in a file that is read before the one in which it came.
func TestChangelog(t *testing.T) {
	dir := filesIn(t, map[string]string{
		"part-0": "+I\ta\t1\n-U\tb\t1\n+I\tc\n+I\tc\n-D\td\n",
		"part-1": "-U\ta\t1\n+U\ta\t2\n+I\tb\t1\n+U\tb\t2\n+I\td\n+I\td\n-D\td\n",
		"other":  "nothing to be read",
	})
	got, err := changelogIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	compareViews(t, got, view{"a\t2": 1, "b\t2": 1, "c": 2})
	if got.rows() != 4 {
		t.Errorf("%d rows", got.rows())
	}
}

func TestChangelogRefused(t *testing.T) {
	for text, want := range map[string]string{
		"+I\ta\n-D\ta\n-D\ta\n-D\tb\n": "taken back 1 times more than it came: a",
		"+I\ta\nI\ta\n":                `unknown kind "I"`,
		"+I\n\n":                       `unknown kind ""`,
	} {
		_, err := changelogIn(filesIn(t, map[string]string{"part-0": text}))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := changelogIn(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no changelog") {
		t.Errorf("an empty directory: %v", err)
	}
}

func TestLatest(t *testing.T) {
	compareViews(t,
		latest([]string{"1\ta\tx", "1\tb\tx", "2\ta\tx", "1\ta\ty", "1\tb\tx"}, []int{0, 1}),
		view{"1\ta\ty": 1, "1\tb\tx": 1, "2\ta\tx": 1})
}

func TestDifferences(t *testing.T) {
	ours, theirs := view{"a": 1, "b": 2, "c": 1, "e": 1}, view{"a": 1, "b": 1, "d": 1, "e": 1}
	want := []string{"2 here, 1 there: b", "1 here, 0 there: c", "0 here, 1 there: d"}
	if got := differences(ours, theirs, 5); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if got := differences(ours, theirs, 2); !slices.Equal(got, want[:2]) {
		t.Errorf("two of them: %q", got)
	}
	if got := differences(ours, ours, 5); got != nil {
		t.Errorf("of equal views: %q", got)
	}
}

// TestLogs reads a log as a job here writes it, and as Flink does.
func TestLogs(t *testing.T) {
	at := time.Date(2015, 7, 15, 23, 59, 1, 250_000_000, time.UTC)
	want := view{textOf("2015-07-15", "23:59", 7, 8, 9, at, "abc"): 2}
	for text, c := range map[string]struct {
		file, pattern string
		head          int
	}{
		"Auction,Bidder,Price,At,Extra\n7,8,9,1437004741250,abc\n7,8,9,1437004741250,abc\n": {
			"day=2015-07-15/minute=23-59/0.csv", "*.csv", 1,
		},
		"7,8,9,\"2015-07-15 23:59:01.25\",abc\n7,8,9,\"2015-07-15 23:59:01.25\",abc\n": {
			"day=2015-07-15/minute=23%3A59/part-x-0", "part-*", 0,
		},
	} {
		got, err := logIn(filesIn(t, map[string]string{c.file: text, "day=2015-07-15/minute=23-59/.part-x-1": "7"}), c.pattern, c.head)
		if err != nil {
			t.Fatal(err)
		}
		compareViews(t, got, want)
	}
}
