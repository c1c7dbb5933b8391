// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/connectortest"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/format"
	"github.com/weir-stream/weir/format/lines"
)

// greedy is a decoder of lines that breaks its contract at a line or a head "?": it takes none of it.
type greedy struct {
	format.Decoder[string]
	// err is what it returns there.
	err      error
	headless bool
}

func (g greedy) Headless() bool { return g.headless }

func (g greedy) Head(buf []byte, last bool) (int, error) {
	if buf, _, _ := strings.Cut(string(buf), "\n"); buf == "?" {
		return 0, nil
	}
	n, err := g.Decode(buf, last, new(string))
	return n, err
}

func (g greedy) Decode(buf []byte, last bool, out *string) (int, error) {
	if buf, _, _ := strings.Cut(string(buf), "\n"); buf == "?" {
		return 0, g.err
	}
	return g.Decoder.Decode(buf, last, out)
}

// TestDecoderThatTakesNothing must not read on and on: the error names the file and where.
func TestDecoderThatTakesNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		text   string
		dec    greedy
		policy Policy
		want   []string
	}{
		"asks for more of the last bytes": {"head\none\n?\n", greedy{}, Fail, []string{"f.txt", "at byte 9", "last 2 bytes"}},
		"without a head":                  {"one\n?", greedy{headless: true}, Fail, []string{"f.txt", "at byte 4", "last 1 bytes"}},
		"asks for more of a head":         {"?\none\n", greedy{}, Fail, []string{"f.txt", "head", "6 bytes"}},
		"finds none":                      {"one\n?\ntwo\n", greedy{headless: true, err: format.ErrNone}, Fail, []string{"f.txt", "at byte 4"}},
		"skips nothing": {
			"one\n?\ntwo\n", greedy{headless: true, err: &format.Error{Err: errors.New("odd")}}, Skip, []string{"f.txt", "odd"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.dec.Decoder = lines.NewDecoder()
			rt := connectortest.NewRuntime(0, 1, 1)
			sc := &scanner[string]{
				rt: rt, tree: tree{fstest.MapFS{"f.txt": &fstest.MapFile{Data: []byte(tc.text)}}}, dec: tc.dec,
				pacer: connector.NewPacer(rt, 0), policy: tc.policy,
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			s := Split{Path: "f.txt", To: int64(len(tc.text))}
			err := sc.fetch(ctx, &s, element.NewBatch[string](8))
			if err == nil || errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("fetch: %v", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not name %q", err, want)
				}
			}
			if err := sc.close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestMakeDirAfterACrash finds a directory whose maker died before it had made the entry durable.
func TestMakeDirAfterACrash(t *testing.T) {
	d := newMemDisk()
	d.dirs["/"], d.dirs["/data"] = true, true
	d.fail = func(op, name string) error {
		if op == "syncdir" && name == "data" {
			return syscall.EIO
		}
		return nil
	}
	if err := makeDir(d, "/data/out"); !errors.Is(err, syscall.EIO) || !d.dirs["/data/out"] {
		t.Fatalf("the crash: %v, directories %v", err, d.dirs)
	}
	d.fail, d.log = nil, nil
	if err := makeDir(d, "/data/out"); err != nil || !slices.Contains(d.log, "syncdir data") {
		t.Errorf("after the crash: %v, did %q", err, d.log)
	}
	// Who may write to a directory may not be allowed to look into the one above it.
	d.fail = func(op, name string) error {
		if op == "syncdir" && name == "data" {
			return syscall.EACCES
		}
		return nil
	}
	if err := makeDir(d, "/data/out"); err != nil {
		t.Errorf("below a directory of others: %v", err)
	}
}
