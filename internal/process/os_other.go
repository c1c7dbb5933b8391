// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package process

// waitExited leaves the wait to the one that reaps.
func waitExited(int) {}

// residentFile does not exist here: GOMEMLIMIT is all there is.
type residentFile struct{}

func openResident(int) (*residentFile, bool) { return nil, false }

func (*residentFile) read() (int64, bool) { return 0, false }

func (*residentFile) close() {}
