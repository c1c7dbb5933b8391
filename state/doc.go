// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package state has the field types of a state struct.
//
// The state of an operator is one struct, one row a key. Plain fields are value state; the types here are the others:
// a Value may be absent, a List and a Map are collections inside the row. A key seen for the first time gets a zero row,
// and the zero value of each type here is empty and ready for use.
//
//	type account struct {
//		Balance int64
//		Limit   state.Value[int64]
//		Recent  state.List[Payment]       `weir:"recent,ttl=1h"`
//		ByShop  state.Map[string, int64]  `weir:"by_shop"`
//	}
//
// The tag gives the stored name (by default the field's own, so that a renamed field keeps its state by naming the old
// one), the time to live in processing time since the last write, and with refresh=read since the last read too. A plain
// field or a Value expires as a whole, each element of a List or Map on its own. What has expired is never seen.
//
// Rows, and all that is reached through them, are valid during the call that lent them. They belong to the goroutine of
// the task. A value of these types must not be copied into another row, nor kept.
//
// Non-obvious: fields tagged `weir:"-"` are derived from the others and may be lost at any time between two calls; no
// method may rely on them but to save time.
package state
