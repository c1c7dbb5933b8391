// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package heap

import (
	"reflect"
	"time"
	"unsafe"
)

// memory counts what a table has outside the collector's sight.
type memory struct {
	mapped int64
	// regions are the arrays that are mapped.
	regions map[unsafe.Pointer]struct{}
	// err is the first error in giving memory back.
	err error
}

const (
	// Arrays from mapBytesMin on are mapped; smaller ones would waste pages, and cost the collector little.
	mapBytesMin = 16 << 10
	// Tables from hugeBytesMin on ask for huge pages.
	hugeBytesMin = 64 << 20
)

// allocate returns n empty slots.
func (t *Table[K, S]) allocate(n int) []slot[K, S] {
	size := int64(n) * slotBytes[K, S]()
	t.slotBytes += size
	if t.offHeap && size >= mapBytesMin {
		if p := mapPages(size, t.memory.mapped >= hugeBytesMin); p != nil {
			t.memory.mapped += size
			if t.memory.regions == nil {
				t.memory.regions = map[unsafe.Pointer]struct{}{}
			}
			t.memory.regions[p] = struct{}{}
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
	p := unsafe.Pointer(&slots[0])
	t.slotBytes -= int64(len(slots)) * slotBytes[K, S]()
	if _, ok := t.memory.regions[p]; !ok {
		return
	}
	size := int64(len(slots)) * slotBytes[K, S]()
	delete(t.memory.regions, p)
	t.memory.mapped -= size
	if err := unmapPages(p, size); err != nil && t.memory.err == nil {
		t.memory.err = err
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
