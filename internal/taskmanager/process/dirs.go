// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// What a Worker keeps of jobs that ended; the oldest goes first.
const (
	LogJobsMax   = 64
	ArtifactsMax = 32
)

// socketPathMax is the longest path that the socket of an executor can have.
const socketPathMax = 100

// dirs are the directories of a Worker, which has them alone.
type dirs struct {
	root string
	lock *os.File
	// sockets is a directory with a short path, where that of root is too long.
	sockets string
}

func openDirs(root string) (*dirs, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open directory of TaskManager: %w", err)
	}
	d := &dirs{root: root}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("open directory of TaskManager: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(root, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open directory of TaskManager: %w", err)
	}
	d.lock = lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("directory %s: a TaskManager with this id runs there already: %w", root, err), lock.Close())
	}
	// What a Worker left that was killed is of no use: its executors ended with it.
	err = os.RemoveAll(filepath.Join(root, "jobs"))
	if err == nil && len(filepath.Join(root, "jobs"))+48 > socketPathMax {
		d.sockets, err = os.MkdirTemp("", "weir-")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open directory of TaskManager: %w", err), lock.Close())
	}
	return d, nil
}

func (d *dirs) close() error {
	err := os.RemoveAll(filepath.Join(d.root, "jobs"))
	if d.sockets != "" {
		err = errors.Join(err, os.RemoveAll(d.sockets))
	}
	return errors.Join(err, d.lock.Close())
}

func (d *dirs) artifacts() string { return filepath.Join(d.root, "artifacts") }

func (w *Worker) logDir() string { return filepath.Join(w.dirs.root, "log") }

func (w *Worker) jobDir(job string) string { return filepath.Join(w.dirs.root, "jobs", job) }

// socket is the path of the socket of an executor, another one for each start.
func (w *Worker) socket(job string, number int) string {
	if w.dirs.sockets != "" {
		return filepath.Join(w.dirs.sockets, fmt.Sprintf("%.8s-%d", job, number))
	}
	return filepath.Join(w.jobDir(job), fmt.Sprintf("x%d", number))
}

// clear removes what an executor that ended leaves, and of what is kept the oldest.
func (w *Worker) clear(job string) {
	if err := os.RemoveAll(w.jobDir(job)); err != nil {
		w.config.Logger.Warn("directory of an executor is left", "job", job, "error", err)
	}
	running := map[string]bool{}
	for _, e := range entries(filepath.Join(w.dirs.root, "jobs")) {
		running[e.Name()] = true
	}
	logs := slices.DeleteFunc(entries(w.logDir()), func(e fs.DirEntry) bool { return !e.IsDir() || running[e.Name()] })
	for _, e := range oldest(logs, LogJobsMax) {
		if err := os.RemoveAll(filepath.Join(w.logDir(), e.Name())); err != nil {
			w.config.Logger.Warn("logs of an ended job are left", "job", e.Name(), "error", err)
		}
	}
	programs := slices.DeleteFunc(entries(w.dirs.artifacts()), func(e fs.DirEntry) bool { return e.IsDir() })
	for _, e := range oldest(programs, ArtifactsMax) {
		// A process that runs it goes on, and one that is to start it fetches it again.
		if err := w.store.Remove(e.Name()); err != nil {
			w.config.Logger.Warn("program is left", "program", e.Name(), "error", err)
		}
	}
}

// entries lists a directory; one that can't be read has none.
func entries(dir string) []fs.DirEntry {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	return list
}

// oldest returns those to remove so that no more than keep are left.
func oldest(list []fs.DirEntry, keep int) []fs.DirEntry {
	if len(list) <= keep {
		return nil
	}
	changed := map[string]time.Time{}
	for _, e := range list {
		if info, err := e.Info(); err == nil {
			changed[e.Name()] = info.ModTime()
		}
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int {
		return cmp.Or(changed[a.Name()].Compare(changed[b.Name()]), cmp.Compare(a.Name(), b.Name()))
	})
	return list[:len(list)-keep]
}
