// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build (linux || darwin) && !purego

package heap

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapPages returns zeroed memory of the system's, or nil if there is none.
func mapPages(size int64, huge bool) unsafe.Pointer {
	b, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	if huge {
		adviseHuge(b)
	}
	return unsafe.Pointer(unsafe.SliceData(b))
}

func unmapPages(p unsafe.Pointer, size int64) error {
	if err := unix.Munmap(unsafe.Slice((*byte)(p), size)); err != nil {
		return fmt.Errorf("unmap %d bytes of state: %w", size, err)
	}
	return nil
}
