// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// keptLogs is of how many TaskManagers that are gone the logs stay, the newest.
const keptLogs = 16

// A TaskManager has a directory of its own in that of the cluster, named after it; these are in it.
const (
	workerDirPrefix = "taskmanager-"
	workerLogs      = "log"
	workerLock      = "lock"
)

// sweep removes what TaskManagers leave that are gone, but the newest logs. Their names never come again.
func (s *Supervisor) sweep() {
	gone := s.goneDirs()
	for i, dir := range gone {
		err := withLock(filepath.Join(dir, workerLock), func() error {
			if i >= keptLogs {
				id := strings.TrimPrefix(filepath.Base(dir), workerDirPrefix)
				return errors.Join(os.RemoveAll(dir), s.removeOutput(id))
			}
			return removeAllBut(dir, workerLogs)
		})
		if err != nil {
			s.config.Logger.Warn("what a TaskManager that is gone leaves is not removed", "dir", dir, "error", err)
		}
	}
}

// goneDirs are the directories of TaskManagers that supervisors have started in this directory and that are no children,
// those with the newest logs first.
func (s *Supervisor) goneDirs() []string {
	all, err := filepath.Glob(filepath.Join(s.config.DataDir, workerDirPrefix+taskManagerPrefix+"*"))
	if err != nil {
		return nil // only a malformed pattern is an error
	}
	s.mu.Lock()
	all = slices.DeleteFunc(all, func(dir string) bool {
		return s.mu.children[strings.TrimPrefix(filepath.Base(dir), workerDirPrefix)] != nil
	})
	s.mu.Unlock()
	logged := map[string]time.Time{}
	for _, dir := range all {
		if st, err := os.Stat(filepath.Join(dir, workerLogs)); err == nil {
			logged[dir] = st.ModTime()
		}
	}
	slices.SortStableFunc(all, func(a, b string) int { return logged[b].Compare(logged[a]) })
	return all
}

// withLock calls f while nobody has the lock of a TaskManager's directory; one that has not ended yet keeps what it has.
func withLock(name string, f func() error) error {
	lock, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return f()
	}
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }() // nothing was written
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil
	}
	return f()
}

func removeAllBut(dir, name string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.Name() != name {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// removeOutput removes what a TaskManager has printed, with the older files of that log.
func (s *Supervisor) removeOutput(id string) error {
	files, err := filepath.Glob(s.logOf(id) + "*")
	for _, f := range files {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}
