// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

// Shrink makes the tables of combiners so small that keys crowd each other out.
func (c *Combine[K, T, A]) Shrink(bytes int) { c.tableBytes = uintptr(bytes) }

// CombineTrial is how many records a combiner looks back on.
const CombineTrial = combineTrial
