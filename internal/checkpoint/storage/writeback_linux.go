// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"os"

	"golang.org/x/sys/unix"
)

// beginWriteback has the disk begin with a part of a file. It doesn't wait for it, nor does it take an error away that Sync
// is to report: only waiting would.
func beginWriteback(f *os.File, from, bytes int64) {
	c, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = c.Control(func(fd uintptr) {
		_ = unix.SyncFileRange(int(fd), from, bytes, unix.SYNC_FILE_RANGE_WRITE) // a hint
	})
}
