// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"os"
	"reflect"
	"time"
	"unsafe"
)

// memory is what a table has outside the collector's sight. Arrays are cut from regions, one behind the other, so that
// huge pages go across their bounds; each is given back by itself, and nothing is used twice.
type memory struct {
	// mapped is the size of all arrays. What is left of a region has not been touched, and takes no memory.
	mapped int64
	next   unsafe.Pointer
	left   int64
	// arrays has the sizes of those that are mapped.
	arrays map[unsafe.Pointer]int64
	// err is the first error in giving memory back.
	err error
}

const (
	// Arrays from mapBytesMin on are mapped; smaller ones would waste pages, and cost the collector little.
	mapBytesMin = 16 << 10
	// Tables from hugeBytesMin on ask for huge pages, of which the last one is mostly empty.
	hugeBytesMin = 8 << 20
	// A region is half as large as the table so far, or regionBytesMin, a multiple of which it is.
	regionBytesMin = 2 << 20
)

// allocate returns n empty slots.
func (t *Table[K, S]) allocate(n int) []slot[K, S] {
	size := int64(n) * slotBytes[K, S]()
	t.slotBytes += size
	if t.offHeap && size >= mapBytesMin {
		if p := t.memory.cut(size); p != nil {
			return unsafe.Slice((*slot[K, S])(p), n)
		}
	}
	return make([]slot[K, S], n)
}

// release gives slots back.
func (t *Table[K, S]) release(slots []slot[K, S]) {
	if len(slots) == 0 {
		return
	}
	t.slotBytes -= int64(len(slots)) * slotBytes[K, S]()
	t.memory.free(unsafe.Pointer(&slots[0]))
}

// cut returns size zeroed bytes, or nil if there are none.
func (m *memory) cut(size int64) unsafe.Pointer {
	page := int64(os.Getpagesize())
	size = (size + page - 1) / page * page
	if size > m.left {
		m.leave()
		region := (max(size, m.mapped/2) + regionBytesMin - 1) / regionBytesMin * regionBytesMin
		p := mapPages(region, m.mapped >= hugeBytesMin)
		if p == nil {
			return nil
		}
		m.next, m.left = p, region
	}
	p := m.next
	m.next, m.left = unsafe.Add(p, size), m.left-size
	if m.arrays == nil {
		m.arrays = map[unsafe.Pointer]int64{}
	}
	m.arrays[p] = size
	m.mapped += size
	return p
}

// free gives an array back, if it is a mapped one.
func (m *memory) free(p unsafe.Pointer) {
	size, ok := m.arrays[p]
	if !ok {
		return
	}
	delete(m.arrays, p)
	m.mapped -= size
	m.unmap(p, size)
}

// leave gives back what is left of the region.
func (m *memory) leave() {
	if m.left > 0 {
		m.unmap(m.next, m.left)
	}
	m.next, m.left = nil, 0
}

func (m *memory) unmap(p unsafe.Pointer, size int64) {
	if err := unmapPages(p, size); err != nil && m.err == nil {
		m.err = err
	}
}

// layout says what a copy of a value shares with it.
type layout uint8

const (
	// layoutPlain values hold no pointers.
	layoutPlain layout = iota
	// layoutShallow values point to what never changes.
	layoutShallow
	// layoutShared values point to what may be changed in place.
	layoutShared
)

func layoutOf(t reflect.Type) layout {
	switch t.Kind() {
	case reflect.Array:
		if t.Len() == 0 {
			return layoutPlain
		}
		return layoutOf(t.Elem())
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return layoutShallow
		}
		l := layoutPlain
		for i := range t.NumField() {
			l = max(l, layoutOf(t.Field(i).Type))
		}
		return l
	case reflect.String:
		return layoutShallow
	case reflect.Chan, reflect.Func, reflect.Interface, reflect.Map, reflect.Pointer, reflect.Slice, reflect.UnsafePointer:
		return layoutShared
	default:
		return layoutPlain
	}
}
