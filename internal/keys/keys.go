// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package keys hashes keys and deals them out to key groups. Hash and groups decide where state lies, in checkpoints too:
// both are fixed for ever, equal on every machine, and described in docs/formats/keys.md.
//
//	key --HasherFor--> hash --Group--> key group | rest
//	                                   which subtask, which table | which slot of the table
//
// A key is one leaf or a sequence of them: integers and bools, as 64-bit values, and strings. Types play no part, so an
// int32 and a named int64 of the same value hash alike, and so does a struct with one field and the field.
//
// KeyBy hashes a record once, a batch at a time; the hash travels with the record, and exchange and state call Group on it.
//
// # Non-obvious
//
//   - Leaves are hashed field by field: padding between fields holds anything.
//   - Blank fields are left out, as Go leaves them out when it compares.
//   - The hash has no seed: it can't differ between processes. A sender who chooses keys to collide can do so.
package keys

import (
	"fmt"
	"math/bits"
	"reflect"
	"strings"
	"unsafe"
)

// leavesMax bounds the leaves of one key.
const leavesMax = 1024

// leaf is a part of a key that has a hash of its own.
type leaf struct {
	kind reflect.Kind // Int8..Uint64, Bool, String; Array for an array of bytes
	off  uintptr
	len  int // of an Array
}

// HasherFor compiles the hash of keys of type K: integers, bools, strings, arrays and structs of them. The error names
// the part of K that makes no key.
func HasherFor[K comparable]() (func(k *K) uint64, error) {
	leaves, err := leavesOf[K]()
	if err != nil {
		return nil, err
	}
	if len(leaves) != 1 {
		return func(k *K) uint64 { return hashLeaves(leaves, unsafe.Pointer(k)) }, nil
	}
	one := leaves[0]
	switch one.kind {
	case reflect.Int64:
		return func(k *K) uint64 { return hashUint(*(*uint64)(unsafe.Add(unsafe.Pointer(k), one.off))) }, nil
	case reflect.String:
		return func(k *K) uint64 { return hashString(*(*string)(unsafe.Add(unsafe.Pointer(k), one.off))) }, nil
	default:
		return func(k *K) uint64 { return one.hash(unsafe.Pointer(k)) }, nil
	}
}

// ColumnHasherFor compiles the same hash for a column of rows, whose keys the function reads: hashes has room for as many.
// There is one call a batch, with the hash in the loop over the rows.
func ColumnHasherFor[K comparable, T any](key func(*T) K) (func(rows []T, hashes []uint64), error) {
	leaves, err := leavesOf[K]()
	if err != nil {
		return nil, err
	}
	if len(leaves) != 1 {
		return func(rows []T, hashes []uint64) {
			hashes = hashes[:len(rows)]
			for i := range rows {
				k := key(&rows[i])
				hashes[i] = hashLeaves(leaves, unsafe.Pointer(&k))
			}
		}, nil
	}
	one := leaves[0]
	switch one.kind {
	case reflect.Int64:
		return func(rows []T, hashes []uint64) {
			hashes = hashes[:len(rows)]
			for i := range rows {
				k := key(&rows[i])
				hashes[i] = hashUint(*(*uint64)(unsafe.Add(unsafe.Pointer(&k), one.off)))
			}
		}, nil
	case reflect.String:
		return func(rows []T, hashes []uint64) {
			hashes = hashes[:len(rows)]
			for i := range rows {
				k := key(&rows[i])
				hashes[i] = hashString(*(*string)(unsafe.Add(unsafe.Pointer(&k), one.off)))
			}
		}, nil
	default:
		return func(rows []T, hashes []uint64) {
			hashes = hashes[:len(rows)]
			for i := range rows {
				k := key(&rows[i])
				hashes[i] = one.hash(unsafe.Pointer(&k))
			}
		}, nil
	}
}

// leavesOf lists the parts of K.
func leavesOf[K comparable]() ([]leaf, error) {
	t := reflect.TypeFor[K]()
	name := t.String()
	if t.Name() != "" {
		name = t.Name()
	}
	leaves, err := appendLeaves(nil, t, 0, name)
	if err != nil {
		return nil, fmt.Errorf("key %v: %w", t, err)
	}
	return leaves, nil
}

// Group returns the key group of a hash, of the given number of groups, and the rest that places it within: groups are
// contiguous ranges of hashes, rest is spread over all 64 bits.
func Group(h uint64, groups int) (group int, rest uint64) {
	hi, lo := bits.Mul64(h, uint64(groups))
	return int(hi), lo
}

func appendLeaves(list []leaf, t reflect.Type, off uintptr, path string) ([]leaf, error) {
	if len(list) >= leavesMax {
		return nil, tooMany(path, t)
	}
	var err error
	switch kind := t.Kind(); kind {
	case reflect.Bool, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.String:
		return append(list, leaf{kind: kind, off: off}), nil
	case reflect.Int, reflect.Uint, reflect.Int64, reflect.Uint64, reflect.Uintptr:
		return append(list, leaf{kind: wordKind(t), off: off}), nil
	case reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return append(list, leaf{reflect.Array, off, t.Len()}), nil
		}
		if t.Len() > leavesMax {
			return nil, tooMany(path, t)
		}
		for i := range t.Len() {
			if list, err = appendLeaves(list, t.Elem(), off+uintptr(i)*t.Elem().Size(), path+"[]"); err != nil {
				return nil, err
			}
		}
		return list, nil
	case reflect.Struct:
		return appendFields(list, t, off, path)
	case reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return nil, fmt.Errorf("%s (%v) is a floating-point number, and these don't equal what they look like: round it to an integer", path, t)
	case reflect.Pointer, reflect.UnsafePointer, reflect.Chan, reflect.Func:
		return nil, fmt.Errorf("%s (%v) means another thing in each process: use the value itself", path, t)
	default:
		return nil, fmt.Errorf("%s (%v) makes no key: use integers, bools, strings, or arrays and structs of them", path, t)
	}
}

func tooMany(path string, t reflect.Type) error {
	return fmt.Errorf("%s (%v) is past the %d parts that a key can have: use a string or an array of bytes", path, t, leavesMax)
}

// wordKind is the kind that integers of the machine's word and of 64 bits are read as.
func wordKind(t reflect.Type) reflect.Kind {
	switch {
	case t.Size() == 8:
		return reflect.Int64
	case t.Kind() == reflect.Int:
		return reflect.Int32
	default:
		return reflect.Uint32
	}
}

func appendFields(list []leaf, t reflect.Type, off uintptr, path string) (_ []leaf, err error) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			continue
		}
		where := path + "." + f.Name
		if name, _, _ := strings.Cut(f.Tag.Get("weir"), ","); name == "-" {
			return nil, fmt.Errorf("%s (%v) isn't stored, so keys that differ only there would become one: drop the tag or the field", where, f.Type)
		}
		if list, err = appendLeaves(list, f.Type, off+f.Offset, where); err != nil {
			return nil, err
		}
	}
	return list, nil
}
