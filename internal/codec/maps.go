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
	i = 0
	for _, s := range segs {
		for k := range s.n {
			from := i
			for iter := mapAt(o, s, stride, k).MapRange(); iter.Next(); i++ {
				keys.Index(i).SetIterKey(iter)
				values.Index(i).SetIterValue(iter)
			}
			if i-from > 1 {
				sort.Sort(newEntries(o.key, keys.Slice(from, i), values.Slice(from, i)))
			}
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

// entries are the keys and values of one map, to be sorted. Keys that have no order of their own are in that of their
// encoded form.
type entries struct {
	swapKeys, swapValues func(i, j int)
	compare              func(i, j int) int
	encoded              [][]byte
	n                    int
}

func newEntries(p *plan, keys, values reflect.Value) *entries {
	s := &entries{swapKeys: reflect.Swapper(keys.Interface()), swapValues: reflect.Swapper(values.Interface()), n: keys.Len()}
	switch k := p.typ.Kind(); {
	case k == reflect.String:
		s.compare = func(i, j int) int { return cmp.Compare(keys.Index(i).String(), keys.Index(j).String()) }
	case k >= reflect.Int && k <= reflect.Int64:
		s.compare = func(i, j int) int { return cmp.Compare(keys.Index(i).Int(), keys.Index(j).Int()) }
	case k >= reflect.Uint && k <= reflect.Uintptr:
		s.compare = func(i, j int) int { return cmp.Compare(keys.Index(i).Uint(), keys.Index(j).Uint()) }
	default:
		s.encoded = make([][]byte, s.n)
		for i := range s.encoded {
			e := encoder{scratch: new(scratch)}
			e.columns(p, []seg{{keys.Index(i).Addr().UnsafePointer(), 1}}, 1)
			s.encoded[i] = e.dst
		}
		s.compare = func(i, j int) int { return bytes.Compare(s.encoded[i], s.encoded[j]) }
	}
	return s
}

// Len, Less and Swap are sort.Interface.
func (s *entries) Len() int           { return s.n }
func (s *entries) Less(i, j int) bool { return s.compare(i, j) < 0 }
func (s *entries) Swap(i, j int) {
	s.swapKeys(i, j)
	s.swapValues(i, j)
	if s.encoded != nil {
		s.encoded[i], s.encoded[j] = s.encoded[j], s.encoded[i]
	}
}
