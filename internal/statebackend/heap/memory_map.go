// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build (linux || darwin) && !purego

package heap

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapPages returns zeroed memory of the system's, or nil if there is none. Where pages are huge it begins with one.
func mapPages(size int64, huge bool) unsafe.Pointer {
	if !huge {
		return reserve(uintptr(size))
	}
	p := reserve(uintptr(size) + hugePageBytes)
	if p == nil {
		return nil
	}
	before := -uintptr(p) % hugePageBytes
	start := unsafe.Add(p, before)
	// What lies around stays untouched, should the system not take it back.
	if before > 0 {
		_ = unix.MunmapPtr(p, before)
	}
	_ = unix.MunmapPtr(unsafe.Add(start, size), hugePageBytes-before)
	adviseHuge(unsafe.Slice((*byte)(start), size))
	return start
}

// hugePageBytes is the size of huge pages nearly everywhere.
const hugePageBytes = 2 << 20

// reserve maps memory of which the system counts only what is touched.
func reserve(size uintptr) unsafe.Pointer {
	p, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	return p
}

// unmapPages gives back whole pages, which may be a part of what was mapped.
func unmapPages(p unsafe.Pointer, size int64) error {
	if err := unix.MunmapPtr(p, uintptr(size)); err != nil {
		return fmt.Errorf("unmap %d bytes of state: %w", size, err)
	}
	return nil
}
