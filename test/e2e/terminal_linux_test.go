// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weir-stream/weir/test/flightstest"
)

// pseudoTerminal opens both ends of one: what is written to keyboard is typed, what the program shows is read from it.
func pseudoTerminal(t *testing.T) (keyboard, tty *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	fd := int(keyboard.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 60})
	}
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	return keyboard, tty
}

// TestTerminal types Ctrl-C where the job shows its progress in one line.
func TestTerminal(t *testing.T) {
	t.Parallel()
	keyboard, tty := pseudoTerminal(t)
	dir := t.TempDir()
	p := prepared(t, flights(t), dir, "--rate", "8000", "--checkpoint-interval", "100ms")
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = tty, tty, tty
	p.cmd.Env = append(os.Environ(), "TERM=xterm")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	p.start(t)
	if err := tty.Close(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() { // Owner: this test, which waits for read: it ends with the program, whose terminal is closed then
		defer close(read)
		_, _ = io.Copy(p.out, keyboard)
	}()
	p.await(t, `\r\x1b\[2KRUNNING  00:0\d  in [\d,]+ \(`)
	p.await(t, `in [1-9][\d,]+ \([\d.k]+/s\)`)
	if _, err := keyboard.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	<-p.done
	<-read
	p.wants(t, 0, "stopping with a final checkpoint", "SUSPENDED in ", "to resume: ")
	for line := range strings.SplitSeq(p.out.String(), "\x1b[2K") {
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\r"), "^C") // what erases it, and the echo of what was typed
		if strings.HasPrefix(line, "RUNNING") && len(line) > 59 {
			t.Errorf("a line of progress is as wide as the terminal: %q", line)
		}
	}
	begin(t, "sh", dir, "-c", resumeCommand(t, p)+" --rate 0").wants(t, 0, "FINISHED")
	flightstest.Compare(t, filepath.Join(dir, "out"), flightstest.Reference(t, shipped))
}
