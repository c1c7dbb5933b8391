// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build !purego

package heap

// homes finds the homes of n hashes and asks for their lines. It stops at a hash of another key group, and returns how many
// it found.
func (p *probe) homes(hashes *uint64, n int, homes *addresses) int {
	return findHomes(p, hashes, n, homes)
}

// advance moves homes that don't have their row to the slot behind, or to the line behind where slots share one, and asks for
// what it moved to.
func (c *chase) advance(hashes *uint64, n int, homes *addresses) { advance(c, hashes, n, homes) }

// settle moves to the neighbor of a slot, where that has the row. It tells which rows are found by all ones, and asks for
// the line behind where they are not.
func (c *chase) settle(hashes *uint64, n int, slots, found *addresses) {
	settle(c, hashes, n, slots, found)
}

//go:noescape
func findHomes(p *probe, hashes *uint64, n int, homes *addresses) int

//go:noescape
func advance(c *chase, hashes *uint64, n int, homes *addresses)

//go:noescape
func settle(c *chase, hashes *uint64, n int, slots, found *addresses)
