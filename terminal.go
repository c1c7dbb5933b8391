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
	// interval is the time between two progress lines.
	interval time.Duration

	mu struct {
		sync.Mutex
		// shown is set while a progress line stands there without an end.
		shown bool
	}
}

// Times between two progress lines: on a terminal they replace each other.
const (
	intervalTTY   = time.Second / 4
	intervalPlain = 10 * time.Second
)

func newTerminal(out *os.File) *terminal {
	if term.IsTerminal(int(out.Fd())) && os.Getenv("TERM") != "dumb" {
		return &terminal{out: out, isTTY: true, interval: intervalTTY}
	}
	return &terminal{out: out, interval: intervalPlain}
}

// eraseLine returns to the start of the line and clears it.
const eraseLine = "\r\x1b[2K"

// progress shows a line in place of the one before.
func (t *terminal) progress(line string) {
	if !t.isTTY {
		t.println(line)
		return
	}
	width, _, err := term.GetSize(int(t.out.Fd()))
	if err == nil {
		line = clip(line, width-1)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprint(t.out, eraseLine+line)
	t.mu.shown = true
}

// clip shortens a line to a width, so that it stays one line; a width below one is unknown.
func clip(line string, width int) string {
	if r := []rune(line); width > 0 && len(r) > width {
		return string(r[:width])
	}
	return line
}

// println shows a line that stays.
func (t *terminal) println(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clearLocked()
	fmt.Fprintln(t.out, line)
}

// clear removes the progress line.
func (t *terminal) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clearLocked()
}

func (t *terminal) clearLocked() {
	if t.mu.shown {
		fmt.Fprint(t.out, eraseLine)
		t.mu.shown = false
	}
}

// Write is for the logger.
func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clearLocked()
	return t.out.Write(p)
}

// logger logs warnings and worse, in colour on a terminal.
func (t *terminal) logger() *slog.Logger {
	if t.isTTY {
		return slog.New(tint.NewTextHandler(t, &tint.Options{Level: slog.LevelWarn, TimeFormat: time.TimeOnly}))
	}
	return slog.New(slog.NewTextHandler(t, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
