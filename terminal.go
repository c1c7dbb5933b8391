// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"
)

// terminal is where a program shows progress and logs: on a terminal one line that is written over, below what is logged;
// elsewhere plain lines.
type terminal struct {
	out   *os.File
	isTTY bool

	mu struct {
		sync.Mutex
		// shown is set while a progress line stands there without an end.
		shown bool
	}
}

func newTerminal(out *os.File) *terminal {
	return &terminal{out: out, isTTY: term.IsTerminal(int(out.Fd()))}
}

// interval is the time between two progress lines.
func (t *terminal) interval() time.Duration {
	if t.isTTY {
		return time.Second / 4
	}
	return 10 * time.Second
}

// eraseLine returns to the start of the line and clears it.
const eraseLine = "\r\x1b[2K"

// progress shows a line in place of the one before.
func (t *terminal) progress(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.isTTY {
		fmt.Fprintln(t.out, line)
		return
	}
	if width, _, err := term.GetSize(int(t.out.Fd())); err == nil {
		if r := []rune(line); len(r) > width-1 && width > 1 {
			line = string(r[:width-1])
		}
	}
	fmt.Fprint(t.out, eraseLine+line)
	t.mu.shown = true
}

// println shows a line that stays.
func (t *terminal) println(line string) {
	t.clear()
	fmt.Fprintln(t.out, line)
}

func (t *terminal) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.shown {
		fmt.Fprint(t.out, eraseLine)
		t.mu.shown = false
	}
}

// Write is for the logger.
func (t *terminal) Write(p []byte) (int, error) {
	t.clear()
	return t.out.Write(p)
}

// logger logs warnings and worse, in colour on a terminal.
func (t *terminal) logger() *slog.Logger {
	if t.isTTY {
		return slog.New(tint.NewHandler(t, &tint.Options{Level: slog.LevelWarn, TimeFormat: time.TimeOnly}))
	}
	return slog.New(slog.NewTextHandler(t, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
