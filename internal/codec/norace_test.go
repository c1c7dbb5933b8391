// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build !race

package codec

const raceEnabled = false
