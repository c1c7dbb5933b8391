// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"reflect"
	"strings"
	"unsafe"
)

// Boxed is a value that lies elsewhere, so that moving it moves a pointer. It is stored as the value itself is: schema and
// bytes are the same. Nil stands for a zero value; decoding makes a new one for each row.
type Boxed[T any] *T

// codecPackage is where Boxed is.
var codecPackage = reflect.TypeFor[Boxed[int]]().PkgPath()

func isBoxed(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer && t.PkgPath() == codecPackage && strings.HasPrefix(t.Name(), "Boxed[")
}

// addBoxed appends the op of a Boxed at off to p; written is what is known of the value itself.
func (c compiler) addBoxed(p *plan, t reflect.Type, written *node, off uintptr, name string) {
	p.scratch = true
	p.ops = append(p.ops, op{
		kind: opBoxed, off: off, name: name, typ: t, elem: c.plan(t.Elem(), written), absent: reflect.New(t.Elem()).UnsafePointer(),
	})
}

func (e *encoder) boxed(o *op, segs []seg, stride uintptr, n int) {
	mark := len(e.segs)
	for _, s := range segs {
		for k := range s.n {
			p := *(*unsafe.Pointer)(unsafe.Add(s.base, o.off+uintptr(k)*stride))
			if p == nil {
				p = o.absent
			}
			e.segs = append(e.segs, seg{p, 1})
		}
	}
	e.columns(o.elem, e.segs[mark:], n)
	e.popSegs(mark)
}

func (d *decoder) boxed(o *op, segs []seg, stride uintptr, n int) error {
	base := newArray(o.elem, n)
	inner := [1]seg{{base, n}}
	if err := d.columns(o.elem, inner[:], n); err != nil {
		return err
	}
	i := 0
	for _, s := range segs {
		for k := range s.n {
			*(*unsafe.Pointer)(unsafe.Add(s.base, o.off+uintptr(k)*stride)) = unsafe.Add(base, uintptr(i)*o.elem.size)
			i++
		}
	}
	return nil
}
