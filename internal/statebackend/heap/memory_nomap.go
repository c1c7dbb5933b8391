// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build (!linux && !darwin) || purego

package heap

import "unsafe"

// mapPages has no memory: slots are Go slices, which the collector counts but does not look into.
func mapPages(int64, bool) unsafe.Pointer { return nil }

func unmapPages(unsafe.Pointer, int64) error { return nil }
