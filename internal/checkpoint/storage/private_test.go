// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"io/fs"
	"path/filepath"
	"testing"
)

// TestPrivate: nothing that is made is for others.
func TestPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "jobs")
	if err := Files(Private(), dir).Put(t.Context(), "log/1", []byte("password")); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is for others, too: %v", path, info.Mode())
		}
		if !e.IsDir() {
			files++
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files: %v", files, err)
	}
}
