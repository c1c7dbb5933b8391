// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package state

// Value is a field that may be absent: where zero and never set differ.
type Value[T any] struct {
	set   bool
	value T
	// written tells the engine that a time to live begins anew.
	written bool `weir:"-"`
}

// Get returns the value and whether it is there.
func (v *Value[T]) Get() (T, bool) { return v.value, v.set }

// Set makes x the value.
func (v *Value[T]) Set(x T) { v.value, v.set, v.written = x, true, true }

// Clear makes the value absent.
func (v *Value[T]) Clear() {
	var zero T
	v.value, v.set, v.written = zero, false, true
}

// TakeWritten reports, once, that the value was set or cleared. It is for the engine.
func (v *Value[T]) TakeWritten() bool {
	w := v.written
	v.written = false
	return w
}
