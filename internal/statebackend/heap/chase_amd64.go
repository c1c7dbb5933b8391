// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build !purego

package heap

import "unsafe"

//go:noescape
func chase(p *probe, hashes *uint64, n int, next *search, m int, now *search) int

//go:noescape
func settle(p *probe, s *search, n int, keys unsafe.Pointer, keyAt uintptr, f *findings) int
