// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// statePackage is where the fields of state live. Its structs are handles around unexported data, which is theirs to
// store; programs can't tag it.
const statePackage = "github.com/weir-stream/weir/state"

// tagKey is the key of the struct tag; the name comes first in it, what follows a comma is none of the codec's business.
const tagKey = "weir"

var (
	timeType        = reflect.TypeFor[time.Time]()
	marshalerType   = reflect.TypeFor[encoding.BinaryMarshaler]()
	unmarshalerType = reflect.TypeFor[encoding.BinaryUnmarshaler]()
)

// compiler turns types into schemas and schemas into plans. It holds no state but the rules.
type compiler struct {
	// open is the package whose structs have all their fields encoded.
	open string
}

// schema returns the columns of t. path and parents (the types that t lies within) are for errors.
func (c compiler) schema(t reflect.Type, path string, parents []reflect.Type) (*node, error) {
	n, err := c.native(t, path, parents)
	if err != nil && binaryForm(t) {
		return &node{kind: Binary}, nil
	}
	return n, err
}

func (c compiler) native(t reflect.Type, path string, parents []reflect.Type) (*node, error) {
	if kind := scalarKind(t); kind != 0 {
		return &node{kind: kind}, nil
	}
	if slices.Contains(parents, t) {
		return nil, refuse(path, t, "contains itself", "keep the parts in a slice and refer to them by index, or give the type MarshalBinary and UnmarshalBinary")
	}
	if len(parents) == depthMax-1 {
		return nil, refuse(path, t, fmt.Sprintf("is nested deeper than %d types", depthMax), "flatten it")
	}
	if isBoxed(t) {
		return c.native(t.Elem(), path, parents)
	}
	parents = append(parents, t)
	switch t.Kind() {
	case reflect.Array:
		elem, err := c.schema(t.Elem(), path+"[]", parents)
		return &node{kind: Array, len: t.Len(), elem: elem}, err
	case reflect.Slice:
		elem, err := c.schema(t.Elem(), path+"[]", parents)
		return &node{kind: Slice, elem: elem}, err
	case reflect.Pointer:
		elem, err := c.schema(t.Elem(), path, parents)
		return &node{kind: Pointer, elem: elem}, err
	case reflect.Map:
		key, err := c.schema(t.Key(), path+"[key]", parents)
		if err != nil {
			return nil, err
		}
		if key.holds(Pointer) {
			return nil, refuse(path, t, "has pointers in its keys, which would come back as other keys", "use the values as keys")
		}
		elem, err := c.schema(t.Elem(), path+"[value]", parents)
		return &node{kind: Map, key: key, elem: elem}, err
	case reflect.Struct:
		return c.structSchema(t, path, parents)
	case reflect.Interface:
		return nil, refuse(path, t, "is an interface", "use a concrete type, or a struct with a pointer for each alternative"+leaveOut(path))
	default:
		return nil, refuse(path, t, "cannot be encoded", "store data to make it from"+leaveOut(path))
	}
}

func (c compiler) structSchema(t reflect.Type, path string, parents []reflect.Type) (*node, error) {
	n := &node{kind: Struct}
	members, _, err := c.members(t, path)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		f, err := c.schema(m.Type, path+"."+m.Name, parents)
		if err != nil {
			return nil, err
		}
		n.fields = append(n.fields, field{m.stored, f})
	}
	return n, nil
}

// member is a field of a struct that has columns.
type member struct {
	reflect.StructField
	stored string
}

// members lists the fields of struct t that have columns, in order; left reports whether others keep no column.
func (c compiler) members(t reflect.Type, path string) (list []member, left bool, err error) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup(tagKey)
		name, _, _ := strings.Cut(tag, ",")
		where := path + "." + f.Name
		switch {
		case name == "-":
			left = true
			continue
		case f.Name == "_":
			continue
		case !f.IsExported() && !tagged && t.PkgPath() != c.open:
			return nil, false, refuse(where, f.Type, "is an unexported field", wayIn(t, f.Name))
		case name == "":
			name = f.Name
		}
		for _, m := range list {
			if m.stored == name {
				return nil, false, refuse(where, f.Type, fmt.Sprintf("has the name %q of field %s", name, m.Name), "give one of them another tag")
			}
		}
		if len(list) == fieldsMax {
			return nil, false, refuse(path, t, fmt.Sprintf("has more than %d fields", fieldsMax), "nest or drop some")
		}
		list = append(list, member{f, name})
	}
	return list, left, nil
}

// scalarKind returns the kind of types without parts that have columns of their own, or zero.
func scalarKind(t reflect.Type) Kind {
	switch k := t.Kind(); k {
	case reflect.Bool:
		return Bool
	case reflect.Int, reflect.Int64:
		return Int64
	case reflect.Int8, reflect.Int16, reflect.Int32:
		return Int8 + Kind(k-reflect.Int8)
	case reflect.Uint, reflect.Uint64, reflect.Uintptr:
		return Uint64
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return Uint8 + Kind(k-reflect.Uint8)
	case reflect.Float32:
		return Float32
	case reflect.Float64:
		return Float64
	case reflect.String:
		return String
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return Bytes
		}
	case reflect.Struct:
		if t == timeType {
			return Time
		}
	}
	return 0
}

func (n *node) holds(kind Kind) bool {
	return n.kind == kind || n.key != nil && n.key.holds(kind) || n.elem != nil && n.elem.holds(kind) ||
		slices.ContainsFunc(n.fields, func(f field) bool { return f.node.holds(kind) })
}

func binaryForm(t reflect.Type) bool {
	if t.Kind() == reflect.Interface || t.Kind() == reflect.Pointer {
		return false
	}
	p := reflect.PointerTo(t)
	return p.Implements(marshalerType) && p.Implements(unmarshalerType)
}

// pointerFree reports whether values of t hold no pointers, in fields without columns either.
func pointerFree(t reflect.Type) bool {
	switch k := t.Kind(); k {
	case reflect.Array:
		return t.Len() == 0 || pointerFree(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !pointerFree(t.Field(i).Type) {
				return false
			}
		}
		return true
	default:
		return k >= reflect.Bool && k <= reflect.Complex128
	}
}

func refuse(path string, t reflect.Type, why, wayOut string) error {
	return fmt.Errorf("%s (%v) %s: %s", path, t, why, wayOut)
}

// wayIn is what can be done about an unexported field of t.
func wayIn(t reflect.Type, name string) string {
	owner := "the struct"
	if t.Name() != "" {
		owner = t.String()
	}
	return fmt.Sprintf("export it, tag it `weir:%q`, leave it out with `weir:\"-\"`, or wrap %s in a type with MarshalBinary and UnmarshalBinary", name, owner)
}

// leaveOut is the last way out, which only fields have.
func leaveOut(path string) string {
	if strings.HasSuffix(path, "]") || !strings.Contains(path, ".") {
		return ""
	}
	return ", or leave the field out with `weir:\"-\"`"
}
