// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"fmt"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/statebackend"
)

// WatermarksName is the name of the state of Watermarks.
const WatermarksName = "watermark"

// Watermarks keeps the event time that each key group has seen, so that after a restore, which may bring key groups of
// different subtasks together, lateness counts from what the group has seen, if that is later than the watermark.
type Watermarks struct {
	groups statebackend.KeyGroupRange
	codec  *codec.Codec[int64]
	schema []byte
	// current is the watermark of the subtask, restored what each group of the range had seen before.
	current  int64
	restored []int64

	// frozen is current as it was at Begin of the snapshot of checkpoint id; next is the group to be written.
	frozen int64
	next   int
}

// NewWatermarks makes the state for a range of key groups that have seen nothing.
func NewWatermarks(groups statebackend.KeyGroupRange) (*Watermarks, error) {
	c, err := codec.For[int64]()
	if err != nil {
		return nil, fmt.Errorf("state %s: %w", WatermarksName, err)
	}
	w := &Watermarks{groups: groups, codec: c, schema: c.Schema().Marshal(), current: element.MinWatermark}
	w.restored = make([]int64, groups.Len())
	for i := range w.restored {
		w.restored[i] = element.MinWatermark
	}
	return w, nil
}

// Advance tells that the watermark of the subtask is at least at.
func (w *Watermarks) Advance(at int64) { w.current = max(w.current, at) }

// Seen is the latest event time that a key group of the range has seen.
func (w *Watermarks) Seen(group int) int64 {
	return max(w.current, w.restored[group-w.groups.First])
}

// Name implements statebackend.State.
func (w *Watermarks) Name() string { return WatermarksName }

// Schema implements statebackend.State.
func (w *Watermarks) Schema() []byte { return w.schema }

// Begin implements statebackend.State.
func (w *Watermarks) Begin(statebackend.Checkpoint) error {
	w.frozen, w.next = w.current, 0
	return nil
}

// Step writes a block of one row for each key group that has seen anything.
func (w *Watermarks) Step(to statebackend.Writer, rows int) (done bool, err error) {
	for ; w.next < len(w.restored) && rows > 0; w.next++ {
		at := max(w.frozen, w.restored[w.next])
		if at == element.MinWatermark {
			continue
		}
		if !to.Room() {
			return false, nil
		}
		rows--
		err := to.Write(statebackend.Block{
			State: WatermarksName, Kind: statebackend.Keyed, KeyGroup: w.groups.First + w.next, Rows: 1,
			Data: w.codec.Append(nil, []int64{at}),
		})
		if err != nil {
			return false, fmt.Errorf("state %s: %w", WatermarksName, err)
		}
	}
	return w.next == len(w.restored), nil
}

// Crowded implements statebackend.State: nothing is held back.
func (w *Watermarks) Crowded() bool { return false }

// Base implements statebackend.State: it is always full.
func (w *Watermarks) Base() []int64 { return nil }

// Completed implements statebackend.State.
func (w *Watermarks) Completed(int64) error { return nil }

// Aborted implements statebackend.State.
func (w *Watermarks) Aborted(int64) error { return nil }

// Restore implements statebackend.State.
func (w *Watermarks) Restore(r statebackend.Reader) error {
	if r.Schema(WatermarksName) == nil {
		return nil
	}
	for b, err := range r.Blocks(WatermarksName) {
		if err != nil {
			return fmt.Errorf("restore state %s: %w", WatermarksName, err)
		}
		if !w.groups.Contains(b.KeyGroup) {
			continue
		}
		var at [1]int64
		if b.Rows != 1 {
			return fmt.Errorf("restore state %s: %d rows of key group %d: %w", WatermarksName, b.Rows, b.KeyGroup, codec.ErrCorrupt)
		}
		if _, err := w.codec.Decode(b.Data, at[:], codec.Owned); err != nil {
			return fmt.Errorf("restore state %s: key group %d: %w", WatermarksName, b.KeyGroup, err)
		}
		i := b.KeyGroup - w.groups.First
		w.restored[i] = max(w.restored[i], at[0])
	}
	return nil
}

// Size implements statebackend.State.
func (w *Watermarks) Size() statebackend.Size {
	n := int64(len(w.restored))
	return statebackend.Size{Rows: n, Bytes: 8 * n}
}

var _ statebackend.State = (*Watermarks)(nil)
