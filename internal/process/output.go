// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"strings"
	"sync"
	"time"
)

const (
	outputBufferBytes = 32 << 10
	// tailBytesMax bounds what is remembered of the output, tailShownBytes and tailShownLines what of it is shown.
	tailBytesMax   = 64 << 10
	tailShownBytes = 4 << 10
	tailShownLines = 30
)

// copyOutput takes the output of the child until its end. That a log can't be written must not stop the child.
func (p *Process) copyOutput() {
	defer close(p.copied)
	buffer := make([]byte, outputBufferBytes)
	complained := false
	for {
		n, err := p.output.Read(buffer)
		p.tail.add(buffer[:n])
		if p.log != nil && n > 0 {
			if _, err := p.log.Write(buffer[:n]); err != nil && !complained {
				complained = true
				p.config.Logger.Warn("output of a process is lost", "pid", p.proc.Pid, "log", p.config.Log, "error", err)
			}
		}
		if err != nil {
			break
		}
	}
	p.log.close()
}

// drainOutput waits until what the child has written is copied. Where another process holds the pipe open, it is given up.
func (p *Process) drainOutput() {
	// The pipe is of the kind that has deadlines; without one the wait would only be longer.
	_ = p.output.SetReadDeadline(time.Now().Add(lingerTimeout))
	<-p.copied
	_ = p.output.Close()
}

// tail remembers the end of a text. The zero value is empty.
type tail struct {
	mu struct {
		sync.Mutex
		data []byte // Invariant: at most 2*tailBytesMax
	}
}

func (t *tail) add(data []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.data = append(t.mu.data, data...)
	if over := len(t.mu.data) - tailBytesMax; over > tailBytesMax {
		t.mu.data = append(t.mu.data[:0], t.mu.data[over:]...)
	}
}

// text is what a person wants to see of the end: from where the Go runtime says what is wrong, else the last lines.
func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	data := bytes.TrimSpace(t.mu.data)
	for _, sign := range [...]string{"panic: ", "fatal error: "} {
		at := bytes.LastIndex(data, []byte("\n"+sign))
		if at < 0 && !bytes.HasPrefix(data, []byte(sign)) {
			continue
		}
		lines := strings.Split(clipped(string(data[at+1:]), false), "\n")
		return strings.Join(lines[:min(len(lines), tailShownLines)], "\n")
	}
	lines := strings.Split(clipped(string(data), true), "\n")
	return strings.Join(lines[max(0, len(lines)-tailShownLines):], "\n")
}

// clipped is the first or last tailShownBytes of a text, fit for a message.
func clipped(s string, last bool) string {
	switch {
	case len(s) > tailShownBytes && last:
		s = s[len(s)-tailShownBytes:]
	case len(s) > tailShownBytes:
		s = s[:tailShownBytes]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// outOfMemory reports whether the Go runtime gave up for want of memory.
func (t *tail) outOfMemory() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Contains(t.mu.data, []byte("fatal error: runtime: out of memory")) ||
		bytes.Contains(t.mu.data, []byte("fatal error: runtime: cannot allocate memory"))
}
