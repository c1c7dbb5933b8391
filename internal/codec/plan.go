// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"reflect"
	"unsafe"
)

// plan is the columns of a type, flattened: one op a column, or tree of columns, at a fixed offset of the element.
type plan struct {
	ops  []op
	typ  reflect.Type
	size uintptr
	// zero tells that something of an element is written by no op, or only in part: elements must be zero before.
	zero bool
	// scratch tells that ops need scratch memory.
	scratch     bool
	pointerFree bool
}

// op encodes or decodes one column, or a tree of columns under one field. Invariant: the field lies within the element.
type op struct {
	kind opKind
	off  uintptr
	// name is the path of the field within the element, for errors.
	name string
	typ  reflect.Type // of the field; nil for opSkip
	// extend tells that the written integers are signed, whatever the field is.
	extend bool
	count  int            // elements of an opArray
	key    *plan          // of an opMap
	elem   *plan          // of opArray, opSlice, opMap, opPointer, opBoxed
	skip   *node          // of opSkip
	absent unsafe.Pointer // of opBoxed: the zero value that stands for nil
}

type opKind uint8

const (
	opBool opKind = iota
	opInt8
	opInt16
	opInt32
	opInt64
	opUint8
	opUint16
	opUint32
	opUint64
	opFloat32
	opFloat64
	opString
	opBytes
	opTime
	opArray
	opSlice
	opMap
	opPointer
	opBoxed
	opBinary
	// opSkip passes over a written column that no field takes.
	opSkip
)

// plan makes the plan of t for columns written. Invariant: t has a schema, and it is compatible.
func (c compiler) plan(t reflect.Type, written *node) *plan {
	p := &plan{typ: t, size: t.Size(), pointerFree: pointerFree(t)}
	c.add(p, t, written, 0, "")
	return p
}

// add appends the ops of a value of type t at off to p.
func (c compiler) add(p *plan, t reflect.Type, written *node, off uintptr, name string) {
	if isBoxed(t) {
		c.addBoxed(p, t, written, off, name)
		return
	}
	o := op{off: off, name: name, typ: t}
	switch written.kind {
	case Struct:
		c.addStruct(p, t, written, off, name)
		return
	case Array:
		o.kind, o.count = opArray, written.len
		if o.count == 0 {
			return
		}
		o.elem = c.plan(t.Elem(), written.elem)
		p.zero = p.zero || o.elem.zero
		p.scratch = true
	case Slice:
		o.kind, o.elem = opSlice, c.plan(t.Elem(), written.elem)
		p.scratch = true
	case Pointer:
		o.kind, o.elem = opPointer, c.plan(t.Elem(), written.elem)
		p.scratch = true
	case Map:
		o.kind, o.key, o.elem = opMap, c.plan(t.Key(), written.key), c.plan(t.Elem(), written.elem)
		p.scratch = true
	case Binary:
		o.kind = opBinary
		p.zero = true
	case String:
		o.kind = opString
	case Bytes:
		o.kind = opBytes
		p.scratch = true
	case Time:
		o.kind = opTime
		p.scratch = true
	case Bool:
		o.kind = opBool
	case Float32, Float64:
		o.kind = opFloat32 + opKind(written.kind-Float32)
	default:
		o.kind, o.extend = intOp(t), written.kind.signed()
	}
	p.ops = append(p.ops, o)
}

func (c compiler) addStruct(p *plan, t reflect.Type, written *node, off uintptr, name string) {
	members, left, _ := c.members(t, "")
	byName := make(map[string]member, len(members))
	for _, m := range members {
		byName[m.stored] = m
	}
	found := 0
	for _, w := range written.fields {
		path := join(name, w.name)
		if m, ok := byName[w.name]; ok {
			found++
			c.add(p, m.Type, w.node, off+m.Offset, path)
		} else {
			p.ops = append(p.ops, op{kind: opSkip, name: path, skip: w.node})
		}
	}
	p.zero = p.zero || left || found < len(members)
}

// intOp is the op of an integer type, of the size that it has on this machine.
func intOp(t reflect.Type) opKind {
	size := 0
	for 1<<size < t.Size() {
		size++
	}
	if t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64 {
		return opInt8 + opKind(size)
	}
	return opUint8 + opKind(size)
}
