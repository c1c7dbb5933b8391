// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

func TestLogDir(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "log")
	d, err := OpenLogDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if err := os.Mkdir(filepath.Join(dir, "job"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "job", "a.log"), []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	files, err := d.List()
	if err != nil || len(files) != 1 || files[0].GetName() != "job/a.log" || files[0].GetSize() != 10 {
		t.Errorf("list %v, %v", files, err)
	}
	for _, tt := range []struct {
		offset int64
		bytes  int32
		want   string
		at     int64
	}{{0, 4, "0123", 0}, {8, 100, "89", 8}, {-3, 0, "789", 7}, {-100, 2, "01", 0}, {50, 5, "", 10}} {
		data, at, size, err := d.Read(&weirpb.ReadLog{Name: "job/a.log", Offset: tt.offset, BytesMax: tt.bytes})
		if err != nil || string(data) != tt.want || at != tt.at || size != 10 {
			t.Errorf("from %d: %q at %d of %d, %v", tt.offset, data, at, size, err)
		}
	}
	for _, name := range []string{
		"", ".", "job", "link", "none", "../log/job/a.log", "job/../job/a.log", "/etc/passwd", filepath.Join(outside, "secret"), "job//a.log",
	} {
		if data, _, _, err := d.Read(&weirpb.ReadLog{Name: name}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %q, %v", name, data, err)
		}
	}
}
