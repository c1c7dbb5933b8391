// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"
)

// comparer returns the order of keys: of numbers by value, of strings bytewise, false before true, of structs and
// arrays by their first difference.
func comparer[K comparable]() func(a, b *K) int {
	var f any
	switch any(*new(K)).(type) {
	case int64:
		f = compare[int64]
	case int:
		f = compare[int]
	case int32:
		f = compare[int32]
	case uint64:
		f = compare[uint64]
	case uint32:
		f = compare[uint32]
	case string:
		f = compare[string]
	default:
		return func(a, b *K) int { return compareValues(reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()) }
	}
	return f.(func(a, b *K) int)
}

func compare[K cmp.Ordered](a, b *K) int { return cmp.Compare(*a, *b) }

func compareValues(a, b reflect.Value) int {
	switch {
	case a.CanInt():
		return cmp.Compare(a.Int(), b.Int())
	case a.CanUint():
		return cmp.Compare(a.Uint(), b.Uint())
	}
	switch a.Kind() {
	case reflect.String:
		return strings.Compare(a.String(), b.String())
	case reflect.Bool:
		switch {
		case a.Bool() == b.Bool():
			return 0
		case b.Bool():
			return -1
		}
		return 1
	case reflect.Array:
		for i := range a.Len() {
			if c := compareValues(a.Index(i), b.Index(i)); c != 0 {
				return c
			}
		}
		return 0
	case reflect.Struct:
		for i := range a.NumField() {
			if c := compareValues(a.Field(i), b.Field(i)); c != 0 {
				return c
			}
		}
		return 0
	}
	panic(fmt.Sprintf("state: a key of a Map can't be a %s", a.Type()))
}
