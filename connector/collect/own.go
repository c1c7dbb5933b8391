// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package collect

import (
	"reflect"
	"strings"
)

// refers tells whether values of t refer to memory that a later record may reuse.
func refers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Slice, reflect.Map, reflect.Pointer, reflect.Interface:
		return true
	case reflect.Array:
		return refers(t.Elem())
	case reflect.Struct:
		for f := range t.Fields() {
			if f.IsExported() && refers(f.Type) {
				return true
			}
		}
	}
	return false
}

// own replaces what v refers to by copies, as far as exported fields reach. Records are trees: there are no cycles.
func own(v reflect.Value) {
	if !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.Clone(v.String()))
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(c, v)
		v.Set(c)
		if refers(v.Type().Elem()) {
			for i := range v.Len() {
				own(v.Index(i))
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			own(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			own(v.Field(i))
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			c := reflect.New(v.Elem().Type())
			c.Elem().Set(v.Elem())
			own(c.Elem())
			if v.Kind() == reflect.Pointer {
				v.Set(c)
			} else {
				v.Set(c.Elem())
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			v.Set(ownMap(v))
		}
	}
}

func ownMap(v reflect.Value) reflect.Value {
	c := reflect.MakeMapWithSize(v.Type(), v.Len())
	copied := func(in reflect.Value) reflect.Value {
		out := reflect.New(in.Type()).Elem()
		out.Set(in)
		own(out)
		return out
	}
	for k, e := range v.Seq2() {
		c.SetMapIndex(copied(k), copied(e))
	}
	return c
}
