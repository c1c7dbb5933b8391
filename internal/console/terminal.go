// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"
)

// Terminal is where a program shows progress and logs: on a terminal one line that is written over, below what is logged;
// elsewhere plain lines.
type Terminal struct {
	out *os.File
	// IsTTY tells that it is one indeed.
	IsTTY bool
	// Interval is the time between two progress lines.
	Interval time.Duration

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

// NewTerminal makes one of a file, standard error as a rule.
func NewTerminal(out *os.File) *Terminal {
	if term.IsTerminal(int(out.Fd())) && os.Getenv("TERM") != "dumb" {
		return &Terminal{out: out, IsTTY: true, Interval: intervalTTY}
	}
	return &Terminal{out: out, Interval: intervalPlain}
}

// eraseLine returns to the start of the line and clears it.
const eraseLine = "\r\x1b[2K"

// Progress shows a line in place of the one before.
func (t *Terminal) Progress(line string) {
	if !t.IsTTY {
		t.Println(line)
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

// Println shows a line that stays.
func (t *Terminal) Println(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clearLocked()
	fmt.Fprintln(t.out, line)
}

// Clear removes the progress line.
func (t *Terminal) Clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clearLocked()
}

func (t *Terminal) clearLocked() {
	if t.mu.shown {
		fmt.Fprint(t.out, eraseLine)
		t.mu.shown = false
	}
}

// Write is for the logger.
func (t *Terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clearLocked()
	return t.out.Write(p)
}

// Logger logs warnings and worse, in colour on a terminal.
func (t *Terminal) Logger() *slog.Logger {
	if t.IsTTY {
		return slog.New(tint.NewTextHandler(t, &tint.Options{Level: slog.LevelWarn, TimeFormat: time.TimeOnly}))
	}
	return slog.New(slog.NewTextHandler(t, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
