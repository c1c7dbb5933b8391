// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build (amd64 || arm64) && !purego

package heap

const canPrefetch = true

// prefetch asks for the cache lines of the first n addresses.
//
//go:noescape
func prefetch(at *addresses, n int)
