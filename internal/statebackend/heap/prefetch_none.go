// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build (!amd64 && !arm64) || purego

package heap

const canPrefetch = false

func prefetch(*addresses, int) {}
