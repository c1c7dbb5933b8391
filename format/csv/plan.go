// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package csv

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// kind is how a field is read and written.
type kind uint8

const (
	// kindSkip is a column that no field asks for.
	kindSkip kind = iota
	kindBool
	kindInt
	kindUint
	kindFloat
	kindString
	kindBytes
	kindTime
	kindText
)

// field is a column of T.
type field struct {
	name string
	// offset is where in T the field lies.
	offset uintptr
	kind   kind
	// bits is the size of a number.
	bits int
	// elem is the type of the value; the field itself is a pointer to it if ptr is set.
	elem     reflect.Type
	ptr      bool
	optional bool
}

var (
	timeType        = reflect.TypeFor[time.Time]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// plan lists the columns of T in the order of its fields. text is the interface that a type without a kind of its own
// must have.
func plan[T any](text reflect.Type) ([]field, error) {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("csv: records are %v: want a struct, whose fields are the columns", t)
	}
	fields, err := flatten(t, 0, text)
	if err != nil {
		return nil, fmt.Errorf("csv: %v: %w", t, err)
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("csv: %v has no exported fields", t)
	}
	seen := map[string]bool{}
	for _, f := range fields {
		key := strings.ToLower(f.name)
		if seen[key] {
			return nil, fmt.Errorf("csv: %v: two fields are column %s", t, f.name)
		}
		seen[key] = true
	}
	return fields, nil
}

func flatten(t reflect.Type, base uintptr, text reflect.Type) ([]field, error) {
	var fields []field
	for sf := range t.Fields() {
		tag, tagged := sf.Tag.Lookup("csv")
		if tag == "-" {
			continue
		}
		if sf.Anonymous && sf.Type.Kind() == reflect.Struct && !isLeaf(sf.Type, text) {
			inner, err := flatten(sf.Type, base+sf.Offset, text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", sf.Name, err)
			}
			fields = append(fields, inner...)
			continue
		}
		if !sf.IsExported() {
			if tagged {
				return nil, fmt.Errorf("field %s has a csv tag but isn't exported", sf.Name)
			}
			continue
		}
		f, err := leaf(sf, tag, text)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", sf.Name, err)
		}
		f.offset = base + sf.Offset
		fields = append(fields, f)
	}
	return fields, nil
}

func isLeaf(t, text reflect.Type) bool { return t == timeType || reflect.PointerTo(t).Implements(text) }

// leaf plans a field that is a column.
func leaf(sf reflect.StructField, tag string, text reflect.Type) (field, error) {
	name, option, _ := strings.Cut(tag, ",")
	f := field{name: name, elem: sf.Type, optional: option == "optional"}
	if option != "" && option != "optional" {
		return f, fmt.Errorf("unknown option %q in tag", option)
	}
	if name == "" {
		f.name = snake(sf.Name)
	}
	if sf.Type.Kind() == reflect.Pointer {
		f.ptr, f.elem = true, sf.Type.Elem()
	}
	f.kind, f.bits = kindOf(f.elem, text)
	if f.kind == kindSkip {
		return f, fmt.Errorf("a %v can't be a column: embed it, give it the methods of %v, or tag it `csv:\"-\"`", sf.Type, text)
	}
	return f, nil
}

func kindOf(t, text reflect.Type) (kind, int) {
	switch {
	case t == timeType:
		return kindTime, 0
	case reflect.PointerTo(t).Implements(text):
		return kindText, 0
	}
	switch t.Kind() {
	case reflect.Bool:
		return kindBool, 0
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return kindInt, t.Bits()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return kindUint, t.Bits()
	case reflect.Float32, reflect.Float64:
		return kindFloat, t.Bits()
	case reflect.String:
		return kindString, 0
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return kindBytes, 0
		}
	}
	return kindSkip, 0
}

// snake turns DepDelayMin into dep_delay_min and HTTPPort into http_port.
func snake(name string) string {
	runes := []rune(name)
	var b strings.Builder
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && runes[i-1] != '_' &&
			(!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
