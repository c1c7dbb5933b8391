// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"reflect"
	"slices"
	"unsafe"
)

// Owner gives values of T strings and byte slices of their own in place of those that lie in memory which is lent. It
// goes by the type and not by the schema: it sees also fields that are in no column. It does not see what an interface
// or a function hides, nor into types that contain themselves. It is safe for concurrent use.
type Owner[T any] struct{ plan *ownPlan }

// OwnerOf compiles the Owner of T.
func OwnerOf[T any]() Owner[T] { return Owner[T]{ownPlanOf(reflect.TypeFor[T](), nil)} }

// Needed reports whether values of T can hold strings or byte slices that Own sees.
func (o Owner[T]) Needed() bool { return o.plan != nil }

// Own copies what rows hold of lent, all of it in one piece of memory. What lies elsewhere stays as it is.
func (o Owner[T]) Own(rows []T, lent []byte) {
	if o.plan != nil && len(rows) > 0 && len(lent) > 0 {
		o.plan.own(unsafe.Pointer(unsafe.SliceData(rows)), len(rows), lent)
	}
}

// HoldsText reports whether a value of T can keep a string or a byte slice that was assigned to it, or to something that
// it refers to.
func HoldsText[T any]() bool { return holdsText(reflect.TypeFor[T](), nil) }

func holdsText(t reflect.Type, parents []reflect.Type) bool {
	if t == timeType || slices.Contains(parents, t) {
		return false
	}
	switch t.Kind() {
	case reflect.String, reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return true
	case reflect.Slice:
		return t.Elem().Kind() == reflect.Uint8 || holdsText(t.Elem(), append(parents, t))
	case reflect.Array, reflect.Pointer:
		return holdsText(t.Elem(), append(parents, t))
	case reflect.Map:
		return holdsText(t.Key(), append(parents, t)) || holdsText(t.Elem(), append(parents, t))
	case reflect.Struct:
		for f := range t.Fields() {
			if holdsText(f.Type, append(parents, t)) {
				return true
			}
		}
	}
	return false
}

// ownPlan is where the strings of a type lie. There is none for types without any.
type ownPlan struct {
	ops  []ownOp
	size uintptr
}

type ownOp struct {
	kind reflect.Kind // String, Slice of bytes where elem is nil, Slice, Array, Pointer or Map
	off  uintptr
	typ  reflect.Type
	// key, of a map, and elem are nil where there is nothing in them.
	key, elem *ownPlan
}

func ownPlanOf(t reflect.Type, parents []reflect.Type) *ownPlan {
	p := &ownPlan{size: t.Size()}
	p.add(t, 0, parents)
	if len(p.ops) == 0 {
		return nil
	}
	return p
}

// add appends what lies in a value of t at off.
func (p *ownPlan) add(t reflect.Type, off uintptr, parents []reflect.Type) {
	if t == timeType || slices.Contains(parents, t) {
		return
	}
	parents = append(parents, t)
	o := ownOp{kind: t.Kind(), off: off, typ: t}
	switch t.Kind() {
	case reflect.String:
		p.ops = append(p.ops, o)
	case reflect.Struct:
		for f := range t.Fields() {
			p.add(f.Type, off+f.Offset, parents)
		}
	case reflect.Slice, reflect.Array, reflect.Pointer:
		o.elem = ownPlanOf(t.Elem(), parents)
		if o.elem != nil || t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
			p.ops = append(p.ops, o)
		}
	case reflect.Map:
		o.key, o.elem = ownPlanOf(t.Key(), parents), ownPlanOf(t.Elem(), parents)
		if o.key != nil || o.elem != nil {
			p.ops = append(p.ops, o)
		}
	}
}

// own copies in two rounds: the first finds how much memory is needed, so that what is kept keeps no more.
func (p *ownPlan) own(base unsafe.Pointer, n int, lent []byte) {
	w := owning{from: uintptr(unsafe.Pointer(unsafe.SliceData(lent))), size: uintptr(len(lent))}
	w.walk(p, base, n)
	if w.need == 0 {
		return
	}
	w.copies, w.copying = make([]byte, 0, w.need), true
	w.walk(p, base, n)
}

// owning is a round over values.
type owning struct {
	// from and size are the memory that is lent.
	from, size uintptr
	// need is how many bytes lie in it.
	need int
	// copying tells the second round, which fills copies. Invariant: len(copies) <= need.
	copying bool
	copies  []byte
}

func (w *owning) walk(p *ownPlan, base unsafe.Pointer, n int) {
	for i := range p.ops {
		o := &p.ops[i]
		at := unsafe.Add(base, o.off)
		for k := n; k > 0; k-- {
			w.value(o, at)
			if k > 1 { // a pointer behind the last value would be one to another object
				at = unsafe.Add(at, p.size)
			}
		}
	}
}

func (w *owning) value(o *ownOp, at unsafe.Pointer) {
	switch o.kind {
	case reflect.String:
		s := (*string)(at)
		if data := unsafe.StringData(*s); w.isLent(unsafe.Pointer(data), len(*s)) {
			if c := w.take(unsafe.Slice(data, len(*s))); c != nil {
				*s = unsafe.String(unsafe.SliceData(c), len(c))
			}
		}
	case reflect.Slice:
		h := (*sliceHeader)(at)
		if o.elem != nil {
			w.walkSome(o.elem, h.data, h.len)
		} else if w.isLent(h.data, h.len) {
			if c := w.take(unsafe.Slice((*byte)(h.data), h.len)); c != nil {
				*h = sliceHeader{unsafe.Pointer(unsafe.SliceData(c)), len(c), len(c)}
			}
		}
	case reflect.Array:
		w.walkSome(o.elem, at, o.typ.Len())
	case reflect.Pointer:
		if to := *(*unsafe.Pointer)(at); to != nil {
			w.walk(o.elem, to, 1)
		}
	case reflect.Map:
		w.mapped(o, reflect.NewAt(o.typ, at).Elem())
	}
}

func (w *owning) walkSome(p *ownPlan, base unsafe.Pointer, n int) {
	if n > 0 {
		w.walk(p, base, n)
	}
}

func (w *owning) isLent(data unsafe.Pointer, n int) bool {
	return n > 0 && uintptr(data)-w.from < w.size
}

// take copies text, or says nothing in the round that counts.
func (w *owning) take(text []byte) []byte {
	if !w.copying {
		w.need += len(text)
		return nil
	}
	start := len(w.copies)
	w.copies = append(w.copies, text...)
	return w.copies[start:len(w.copies):len(w.copies)]
}

// mapped makes a map anew that holds something lent: keys can't be changed in place.
func (w *owning) mapped(o *ownOp, m reflect.Value) {
	if m.Len() == 0 {
		return
	}
	if !w.copying {
		w.entries(o, m, reflect.Value{})
		return
	}
	count := owning{from: w.from, size: w.size}
	if count.mapped(o, m); count.need == 0 {
		return
	}
	fresh := reflect.MakeMapWithSize(o.typ, m.Len())
	w.entries(o, m, fresh)
	m.Set(fresh)
}

// entries walks over copies of keys and values, and puts them into a map if there is one.
func (w *owning) entries(o *ownOp, m, into reflect.Value) {
	key, elem := reflect.New(o.typ.Key()), reflect.New(o.typ.Elem())
	for iter := m.MapRange(); iter.Next(); {
		key.Elem().SetIterKey(iter)
		elem.Elem().SetIterValue(iter)
		if o.key != nil {
			w.walk(o.key, key.UnsafePointer(), 1)
		}
		if o.elem != nil {
			w.walk(o.elem, elem.UnsafePointer(), 1)
		}
		if into.IsValid() {
			into.SetMapIndex(key.Elem(), elem.Elem())
		}
	}
}
