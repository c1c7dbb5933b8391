// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package codec turns rows of Go values into bytes, column by column, and back. It serves connections and snapshots
// alike. A codec is compiled once from the type, by reflection, to a flat list of ops; each op then runs over all rows
// before the next one does, with an offset and a stride instead of reflection:
//
//	type Bid struct { Auction, Price int64; Channel string }
//
//	rows   |Auction|Price|Channel|Auction|Price|Channel|...      op{int64, 0}  op{int64, 8}  op{string, 16}
//	bytes  |all Auctions|all Prices|lengths of Channels|Channels end to end|
//
// Integers are written as differences to the least of the column, in 0, 1, 2, 4 or 8 bytes each. Structs within rows are
// flattened; slices, maps and pointers are a column of lengths (or a bitmap) and the columns of all their elements
// together. The bytes carry neither names nor counts: a Schema, stored or sent once, and the number of rows belong to
// them. docs/formats/codec.md has every byte.
//
// What comes back is equal to what went in, nil and empty slices and maps included, but for: instants, which lose their
// location and monotonic reading; pointers to one thing, which become pointers to equal ones; fields with the tag
// `weir:"-"` and blank ones, which are zero.
//
// The graph calls Check for the types of a job, edges and state call For, a restore calls Reader.
//
// Invariants: the same rows give the same bytes, on every machine, whatever the order of maps. Decoding checks each count
// and length before it uses it; it never panics (but for panics of a type's own UnmarshalBinary), and what it allocates
// is in proportion to the input.
//
// # Non-obvious
//
//   - Pointers into rows are always base and offset, never stepped past the last row: a pointer past an object may be one
//     to freed memory, which the collector reports as corruption.
//   - The elements of all slices of one column are decoded into one array, and so are the targets of pointers: one
//     element that is kept keeps its neighbours of the call.
//   - Columns of elements under slices and maps are padded to a byte for eight elements. A constant column takes no space
//     a row, so a damaged length could ask for any amount of memory otherwise.
//   - Memory for elements without pointers comes from []uint64: it saves the header that reflect would allocate.
package codec
