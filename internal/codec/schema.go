// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// schemaVersion is the first byte of a stored schema.
const schemaVersion = 1

// depthMax bounds the nesting of a schema, so that a damaged one can't exhaust the stack.
const depthMax = 64

// fieldsMax bounds the fields of one struct.
const fieldsMax = 4096

// Kind is what a column, or a tree of columns, holds. The numbers are part of the format.
type Kind uint8

// The kinds. int and uint are Int64 and Uint64 on every machine, time.Duration is Int64.
const (
	Bool Kind = iota + 1
	Int8
	Int16
	Int32
	Int64
	Uint8
	Uint16
	Uint32
	Uint64
	Float32
	Float64
	String
	Bytes
	// Time is an instant, without monotonic reading and location.
	Time
	Array
	Struct
	Slice
	Map
	// Pointer is a value that may be absent.
	Pointer
	// Binary is what MarshalBinary of the type returns; the codec knows nothing about its inside.
	Binary
)

var kindNames = [...]string{
	Bool: "bool", Int8: "int8", Int16: "int16", Int32: "int32", Int64: "int64", Uint8: "uint8", Uint16: "uint16",
	Uint32: "uint32", Uint64: "uint64", Float32: "float32", Float64: "float64", String: "string", Bytes: "bytes",
	Time: "time", Array: "array", Struct: "struct", Slice: "slice", Map: "map", Pointer: "pointer", Binary: "binary",
}

// String returns the name of the kind.
func (k Kind) String() string {
	if k >= Bool && k <= Binary {
		return kindNames[k]
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

func (k Kind) signed() bool  { return k >= Int8 && k <= Int64 }
func (k Kind) integer() bool { return k >= Int8 && k <= Uint64 }

// intSize is the size in bytes of an integer kind.
func (k Kind) intSize() int {
	if k.signed() {
		return 1 << (k - Int8)
	}
	return 1 << (k - Uint8)
}

// Schema describes rows: the names, kinds and nesting of their columns. It is stored beside them, and tells whether and
// how other rows can take them in. It is immutable.
type Schema struct{ root *node }

// node is a kind and what lies under it. Go's names of types are no part of it: types are renamed and moved freely.
type node struct {
	kind   Kind
	len    int     // of an Array
	key    *node   // of a Map
	elem   *node   // of an Array, Slice, Map, Pointer
	fields []field // of a Struct, in the order of their columns
}

type field struct {
	name string
	node *node
}

// Marshal returns the stored form, as docs/formats/codec.md describes it.
func (s *Schema) Marshal() []byte { return s.root.append([]byte{schemaVersion}) }

// Fingerprint is the 64-bit FNV-1a hash of the stored form. Schemas with equal fingerprints are taken for equal.
func (s *Schema) Fingerprint() uint64 {
	h := uint64(14695981039346656037)
	for _, b := range s.Marshal() {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

// String formats the schema as a Go type.
func (s *Schema) String() string {
	var b strings.Builder
	s.root.format(&b)
	return b.String()
}

// CanRead returns nil if rows of schema s can take in rows written under the other: fields are matched by name, fields
// that either side lacks are fine, integers may have become wider. Otherwise the error names the field.
func (s *Schema) CanRead(written *Schema) error { return compatible(s.root, written.root, "") }

// UnmarshalSchema is the inverse of Marshal. Errors wrap ErrCorrupt.
func UnmarshalSchema(data []byte) (*Schema, error) {
	if len(data) == 0 || data[0] != schemaVersion {
		return nil, fmt.Errorf("schema of unknown version: %w", ErrCorrupt)
	}
	root, rest, err := parseNode(data[1:], 0)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("schema: %d bytes too many: %w", len(rest), ErrCorrupt)
	}
	return &Schema{root}, nil
}

func (n *node) append(dst []byte) []byte {
	dst = append(dst, byte(n.kind))
	switch n.kind {
	case Array:
		return n.elem.append(binary.AppendUvarint(dst, uint64(n.len)))
	case Slice, Pointer:
		return n.elem.append(dst)
	case Map:
		return n.elem.append(n.key.append(dst))
	case Struct:
		dst = binary.AppendUvarint(dst, uint64(len(n.fields)))
		for _, f := range n.fields {
			dst = binary.AppendUvarint(dst, uint64(len(f.name)))
			dst = append(dst, f.name...)
			dst = f.node.append(dst)
		}
	}
	return dst
}

func parseNode(src []byte, depth int) (n *node, rest []byte, err error) {
	if len(src) == 0 {
		return nil, nil, errShort
	}
	n = &node{kind: Kind(src[0])}
	src = src[1:]
	if n.kind < Bool || n.kind > Binary {
		return nil, nil, fmt.Errorf("%v is unknown: %w", n.kind, ErrCorrupt)
	}
	if depth == depthMax {
		return nil, nil, fmt.Errorf("nested deeper than %d: %w", depthMax, ErrCorrupt)
	}
	switch n.kind {
	case Array:
		var size uint64
		if size, src, err = parseUvarint(src); err != nil {
			return nil, nil, err
		}
		if n.len = int(size); n.len < 0 || uint64(n.len) != size {
			return nil, nil, fmt.Errorf("array of %d elements: %w", size, ErrCorrupt)
		}
	case Map:
		if n.key, src, err = parseNode(src, depth+1); err != nil {
			return nil, nil, err
		}
	case Struct:
		n.fields, src, err = parseFields(src, depth+1)
		return n, src, err
	case Slice, Pointer:
	default:
		return n, src, nil
	}
	n.elem, src, err = parseNode(src, depth+1)
	return n, src, err
}

func parseFields(src []byte, depth int) (fields []field, rest []byte, err error) {
	count, src, err := parseUvarint(src)
	if err != nil {
		return nil, nil, err
	}
	if count > fieldsMax {
		return nil, nil, fmt.Errorf("struct of %d fields: %w", count, ErrCorrupt)
	}
	for range count {
		size, tail, err := parseUvarint(src)
		if err != nil {
			return nil, nil, err
		}
		if size > uint64(len(tail)) {
			return nil, nil, errShort
		}
		f := field{name: string(tail[:size])}
		if slices.ContainsFunc(fields, func(g field) bool { return g.name == f.name }) {
			return nil, nil, fmt.Errorf("field %q twice: %w", f.name, ErrCorrupt)
		}
		if f.node, src, err = parseNode(tail[size:], depth); err != nil {
			return nil, nil, err
		}
		fields = append(fields, f)
	}
	return fields, src, nil
}

func parseUvarint(src []byte) (v uint64, rest []byte, err error) {
	v, size := binary.Uvarint(src)
	if size <= 0 {
		return 0, nil, errShort
	}
	return v, src[size:], nil
}

func (n *node) format(b *strings.Builder) {
	switch n.kind {
	case Array:
		fmt.Fprintf(b, "[%d]", n.len)
		n.elem.format(b)
	case Slice:
		b.WriteString("[]")
		n.elem.format(b)
	case Pointer:
		b.WriteString("*")
		n.elem.format(b)
	case Map:
		b.WriteString("map[")
		n.key.format(b)
		b.WriteString("]")
		n.elem.format(b)
	case Struct:
		b.WriteString("struct{")
		for i, f := range n.fields {
			if i > 0 {
				b.WriteString("; ")
			}
			b.WriteString(f.name + " ")
			f.node.format(b)
		}
		b.WriteString("}")
	default:
		b.WriteString(n.kind.String())
	}
}

func (n *node) field(name string) *node {
	for _, f := range n.fields {
		if f.name == name {
			return f.node
		}
	}
	return nil
}

// blob reports whether columns under n hold strings, which owned rows keep in one blob.
func (n *node) blob() bool {
	switch n.kind {
	case String, Bytes:
		return true
	case Array, Slice, Pointer:
		return n.elem.blob()
	case Map:
		return n.key.blob() || n.elem.blob()
	case Struct:
		return slices.ContainsFunc(n.fields, func(f field) bool { return f.node.blob() })
	}
	return false
}

// equal reports whether both trees have the same columns in the same order.
func (n *node) equal(m *node) bool {
	if n.kind != m.kind || n.len != m.len || len(n.fields) != len(m.fields) {
		return false
	}
	for i, f := range n.fields {
		if f.name != m.fields[i].name || !f.node.equal(m.fields[i].node) {
			return false
		}
	}
	return (n.key == nil || n.key.equal(m.key)) && (n.elem == nil || n.elem.equal(m.elem))
}

// compatible returns nil if a value of kind read can take in one that was written; path names it in the error.
func compatible(read, written *node, path string) error {
	if read.kind != written.kind {
		if widened(read.kind, written.kind) {
			return nil
		}
		return incompatible(path, written, read)
	}
	switch read.kind {
	case Struct:
		for _, f := range read.fields {
			if w := written.field(f.name); w != nil {
				if err := compatible(f.node, w, join(path, f.name)); err != nil {
					return err
				}
			}
		}
		return nil
	case Array:
		if read.len != written.len {
			return incompatible(path, written, read)
		}
		return compatible(read.elem, written.elem, path+"[]")
	case Map:
		if err := compatible(read.key, written.key, path+"[key]"); err != nil {
			return err
		}
		return compatible(read.elem, written.elem, path+"[value]")
	case Slice:
		return compatible(read.elem, written.elem, path+"[]")
	case Pointer:
		return compatible(read.elem, written.elem, path)
	}
	return nil
}

// widened reports whether every written integer is one of the kind read.
func widened(read, written Kind) bool {
	switch {
	case !read.integer() || !written.integer():
		return false
	case read.signed() == written.signed():
		return read.intSize() >= written.intSize()
	default:
		return read.signed() && read.intSize() > written.intSize()
	}
}

func incompatible(path string, written, read *node) error {
	if path == "" {
		path = "the value"
	}
	w, r := Schema{written}, Schema{read}
	return fmt.Errorf("%s was written as %v and can't be read as %v: %w", path, &w, &r, ErrIncompatible)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
