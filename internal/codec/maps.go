// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"bytes"
	"cmp"
	"reflect"
	"sort"
	"unsafe"
)

// maps writes the lengths, the keys of all maps, each map's in order, and the values in the order of their keys.
func (e *encoder) maps(o *op, segs []seg, stride uintptr, n int) {
	mark := len(e.ints)
	lengths, total := e.pushInts(n), 0
	i := 0
	for _, s := range segs {
		for k := range s.n {
			lengths[i] = 0
			if m := mapAt(o, s, stride, k); !m.IsNil() {
				lengths[i] = int64(m.Len()) + 1
				total += m.Len()
			}
			i++
		}
	}
	e.lengths(lengths)
	e.ints = e.ints[:mark]
	if total == 0 {
		return
	}
	keys := reflect.MakeSlice(reflect.SliceOf(o.key.typ), total, total)
	values := reflect.MakeSlice(reflect.SliceOf(o.elem.typ), total, total)
	sorter := newEntries(o.key, keys, values)
	iter := new(reflect.MapIter)
	i = 0
	for _, s := range segs {
		for k := range s.n {
			from := i
			for iter.Reset(mapAt(o, s, stride, k)); iter.Next(); i++ {
				keys.Index(i).SetIterKey(iter)
				values.Index(i).SetIterValue(iter)
			}
			sorter.sort(from, i)
		}
	}
	e.children(o.key, []seg{{keys.UnsafePointer(), total}}, total)
	e.children(o.elem, []seg{{values.UnsafePointer(), total}}, total)
}

func (d *decoder) maps(o *op, segs []seg, stride uintptr, n int) error {
	c, total, err := d.lengths(n, childrenMax(d.src))
	if err != nil {
		return err
	}
	keyBase, err := d.children(o.key, total)
	if err != nil {
		return err
	}
	valueBase, err := d.children(o.elem, total)
	if err != nil {
		return err
	}
	i, used := 0, 0
	for _, s := range segs {
		for k := range s.n {
			size := int(c.at(i)) - 1
			i++
			if size < 0 {
				mapAt(o, s, stride, k).SetZero()
				continue
			}
			m := reflect.MakeMapWithSize(o.typ, size)
			for range size {
				key := reflect.NewAt(o.key.typ, unsafe.Add(keyBase, uintptr(used)*o.key.size)).Elem()
				value := reflect.NewAt(o.elem.typ, unsafe.Add(valueBase, uintptr(used)*o.elem.size)).Elem()
				m.SetMapIndex(key, value)
				used++
			}
			mapAt(o, s, stride, k).Set(m)
		}
	}
	return nil
}

func mapAt(o *op, s seg, stride uintptr, k int) reflect.Value {
	return reflect.NewAt(o.typ, unsafe.Add(s.base, o.off+uintptr(k)*stride)).Elem()
}

// entries are the keys and values of all maps of a column; those of one at a time are sorted. Keys that have no order of
// their own are in that of their encoded form.
type entries struct {
	swapKeys, swapValues func(i, j int)
	compare              func(i, j int) int
	// encode is set, and encoded filled while sorting, if keys have no order of their own.
	encode   func(i int) []byte
	encoded  [][]byte
	from, to int
}

func newEntries(p *plan, keys, values reflect.Value) *entries {
	s := &entries{swapKeys: reflect.Swapper(keys.Interface()), swapValues: reflect.Swapper(values.Interface())}
	switch k := p.typ.Kind(); {
	case k == reflect.String:
		s.compare = func(i, j int) int { return cmp.Compare(keys.Index(i).String(), keys.Index(j).String()) }
	case k >= reflect.Int && k <= reflect.Int64:
		s.compare = func(i, j int) int { return cmp.Compare(keys.Index(i).Int(), keys.Index(j).Int()) }
	case k >= reflect.Uint && k <= reflect.Uintptr:
		s.compare = func(i, j int) int { return cmp.Compare(keys.Index(i).Uint(), keys.Index(j).Uint()) }
	default:
		s.compare = func(i, j int) int { return bytes.Compare(s.encoded[i-s.from], s.encoded[j-s.from]) }
		s.encode = func(i int) []byte {
			e := encoder{scratch: new(scratch)}
			e.columns(p, []seg{{keys.Index(i).Addr().UnsafePointer(), 1}}, 1)
			return e.dst
		}
	}
	return s
}

// sort sorts the entries from from to before to.
func (s *entries) sort(from, to int) {
	if to-from < 2 {
		return
	}
	s.from, s.to = from, to
	if s.encode != nil {
		s.encoded = s.encoded[:0]
		for i := from; i < to; i++ {
			s.encoded = append(s.encoded, s.encode(i))
		}
	}
	sort.Sort(s)
}

// Len, Less and Swap are sort.Interface.
func (s *entries) Len() int           { return s.to - s.from }
func (s *entries) Less(i, j int) bool { return s.compare(s.from+i, s.from+j) < 0 }
func (s *entries) Swap(i, j int) {
	s.swapKeys(s.from+i, s.from+j)
	s.swapValues(s.from+i, s.from+j)
	if s.encode != nil {
		s.encoded[i], s.encoded[j] = s.encoded[j], s.encoded[i]
	}
}
