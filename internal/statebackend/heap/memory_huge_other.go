// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build darwin && !purego

package heap

// adviseHuge does nothing: the system chooses its page sizes by itself.
func adviseHuge([]byte) {}
