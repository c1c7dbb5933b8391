// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// A log is a file of at most LogBytesMax and its predecessors, LogFilesMax in all: name, name.1 and so on, the oldest last.
const (
	LogBytesMax = 10 << 20
	LogFilesMax = 5
)

// Log is a file that begins anew, keeping its predecessors, when it is full. Writes of several goroutines don't mix.
type Log struct {
	path string
	mu   struct {
		sync.Mutex
		file *os.File
		size int64
	}
}

var _ io.WriteCloser = (*Log)(nil)

// OpenLog opens a log to append to, and makes its folder.
func OpenLog(path string) (*Log, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of a log: %w", err)
	}
	l := &Log{path: path}
	if err := l.openLocked(); err != nil {
		return nil, err
	}
	return l, nil
}

// Write appends data, all of it to one file. After an error, as of a full disk, the next call tries again.
func (l *Log) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.file != nil && l.mu.size > 0 && l.mu.size+int64(len(data)) > LogBytesMax {
		if err := l.rotateLocked(); err != nil {
			return 0, err
		}
	}
	if l.mu.file == nil {
		if err := l.openLocked(); err != nil {
			return 0, err
		}
	}
	n, err := l.mu.file.Write(data)
	l.mu.size += int64(n)
	return n, err
}

// Close closes the file. A later Write opens it again.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closeLocked()
}

// close is Close for a log that may be nil and whose end is nobody's concern.
func (l *Log) close() {
	if l != nil {
		_ = l.Close()
	}
}

func (l *Log) closeLocked() error {
	f := l.mu.file
	if f == nil {
		return nil
	}
	l.mu.file = nil
	return f.Close()
}

func (l *Log) openLocked() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("open log: %w", err), f.Close())
	}
	l.mu.file, l.mu.size = f, info.Size()
	return nil
}

// rotateLocked moves each file on by one place; the last is gone.
func (l *Log) rotateLocked() error {
	if err := l.closeLocked(); err != nil {
		return fmt.Errorf("rotate log: %w", err)
	}
	for k := LogFilesMax - 1; k > 0; k-- {
		from := l.path
		if k > 1 {
			from = fmt.Sprintf("%s.%d", l.path, k-1)
		}
		if err := os.Rename(from, fmt.Sprintf("%s.%d", l.path, k)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("rotate log: %w", err)
		}
	}
	return nil
}
