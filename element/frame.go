// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package element

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/weir-stream/weir/internal/invariants"
)

// Frame is a piece of memory that several batches may borrow strings from: it goes back to its pool when the last of
// them lets go. One hold is its maker's.
type Frame struct {
	data  []byte
	home  *FramePool
	holds atomic.Int32
}

// Bytes returns the memory; it is valid while the caller holds the frame, and nobody writes to it once it is shared.
func (f *Frame) Bytes() []byte { return f.data }

// Grow makes the frame n bytes long and keeps what it holds. The caller is the only holder.
func (f *Frame) Grow(n int) {
	if n > cap(f.data) {
		data := make([]byte, n, 1<<bits.Len(uint(n-1)))
		copy(data, f.data)
		f.data = data
	}
	f.data = f.data[:n]
}

// Hold adds a holder.
func (f *Frame) Hold() { f.holds.Add(1) }

// Release gives back one hold; the memory must not be read afterwards.
func (f *Frame) Release() {
	n := f.holds.Add(-1)
	invariants.Check(n >= 0, "frame released %d times too often", -n)
	if n > 0 {
		return
	}
	if invariants.Enabled {
		mangleBytes(f.data[:cap(f.data)])
	}
	f.home.put(f)
}

// mangleBytes overwrites memory that is given back, so that a string that was kept no longer reads as it did.
func mangleBytes(data []byte) {
	for i := range data {
		data[i] = 0xDB
	}
}

// frameKeepBytes bounds what a pool keeps of frames that are out of use, frameClasses the sizes that it keeps at all.
const (
	frameKeepBytes = 4 << 20
	frameClassMin  = 10 // 1 KB
	frameClasses   = 11 // up to 1 MB
)

// FramePool is a free list of frames by size. It is safe for use by several goroutines; the zero pool is empty.
type FramePool struct {
	mu struct {
		sync.Mutex
		free [frameClasses][]*Frame
		// kept is the sum of the capacities in free. Invariant: kept <= frameKeepBytes.
		kept int
	}
}

// Get returns a frame of n bytes whose content is undefined and whose only holder is the caller.
func (p *FramePool) Get(n int) *Frame {
	class := frameClass(n)
	if class >= frameClasses {
		return p.own(&Frame{data: make([]byte, n)})
	}
	p.mu.Lock()
	free := p.mu.free[class]
	if len(free) == 0 {
		p.mu.Unlock()
		return p.own(&Frame{data: make([]byte, n, 1<<(class+frameClassMin))})
	}
	f := free[len(free)-1]
	free[len(free)-1] = nil
	p.mu.free[class] = free[:len(free)-1]
	p.mu.kept -= cap(f.data)
	p.mu.Unlock()
	f.data = f.data[:n]
	return p.own(f)
}

func (p *FramePool) own(f *Frame) *Frame {
	f.home = p
	f.holds.Store(1)
	return f
}

func (p *FramePool) put(f *Frame) {
	size := cap(f.data)
	class := bits.Len(uint(size)) - 1 - frameClassMin // the largest that it can serve
	if class < 0 || class >= frameClasses {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.kept+size <= frameKeepBytes {
		p.mu.free[class] = append(p.mu.free[class], f)
		p.mu.kept += size
	}
}

// frameClass is the smallest class whose frames hold n bytes.
func frameClass(n int) int {
	if n <= 1<<frameClassMin {
		return 0
	}
	return bits.Len(uint(n-1)) - frameClassMin
}
