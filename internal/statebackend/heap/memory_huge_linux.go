// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build linux && !purego

package heap

import "golang.org/x/sys/unix"

// adviseHuge asks for huge pages. A kernel without them is as good, but slower.
func adviseHuge(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
