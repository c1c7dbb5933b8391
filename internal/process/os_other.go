// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package process

// waitExited leaves the wait to the one that reaps.
func waitExited(int) {}

// residentBytes is not known here: GOMEMLIMIT is all there is.
func residentBytes(int) (int64, bool) { return 0, false }
