// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"errors"
	"time"

	"github.com/weir-stream/weir/internal/statebackend/heap"
	"github.com/weir-stream/weir/watermark"
)

// KeyedContext is the Context of a step with keyed state, for the record or timer at hand.
type KeyedContext[K comparable] struct {
	*Context
	key  K
	hash uint64
	// isNew and deleted are of the row of the key.
	isNew, deleted bool
	// timers is nil where the step has no OnTimer.
	timers *heap.Timers[K]
	// rescheduled is set when a processing-time timer was registered.
	rescheduled bool
}

// Key is the current key.
func (c *KeyedContext[K]) Key() K { return c.key }

// New reports that the row of the key did not exist before this call.
func (c *KeyedContext[K]) New() bool { return c.isNew }

// Delete drops the row of the key when the call ends. Its timers stay.
func (c *KeyedContext[K]) Delete() { c.deleted = true }

// EventTimer registers a timer that fires once the watermark reaches at; registered twice it is one. A step without
// OnTimer fails.
func (c *KeyedContext[K]) EventTimer(at time.Time) {
	if c.hasTimers() {
		c.timers.Register(heap.EventTime, watermark.Nanos(at), c.hash, &c.key)
	}
}

// ProcessingTimer registers a timer that fires once the clock reaches at.
func (c *KeyedContext[K]) ProcessingTimer(at time.Time) {
	if c.hasTimers() && c.timers.Register(heap.ProcessingTime, watermark.Nanos(at), c.hash, &c.key) {
		c.rescheduled = true
	}
}

// DeleteEventTimer deletes a timer of the current key, if there is one at that time.
func (c *KeyedContext[K]) DeleteEventTimer(at time.Time) {
	if c.hasTimers() {
		c.timers.Delete(heap.EventTime, watermark.Nanos(at), c.hash, &c.key)
	}
}

// DeleteProcessingTimer deletes a timer of the current key, if there is one at that time.
func (c *KeyedContext[K]) DeleteProcessingTimer(at time.Time) {
	if c.hasTimers() {
		c.timers.Delete(heap.ProcessingTime, watermark.Nanos(at), c.hash, &c.key)
	}
}

// errNoOnTimer fails a step that registers timers which nobody would see.
var errNoOnTimer = errors.New("a timer needs OnTimer: use ProcessTimed or ProcessRich")

func (c *KeyedContext[K]) hasTimers() bool {
	if c.timers == nil {
		c.fail(errNoOnTimer)
	}
	return c.timers != nil
}
