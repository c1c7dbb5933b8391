// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package keys

import (
	"encoding/binary"
	"math/bits"
	"reflect"
	"unsafe"
)

// The constants are the first 64 bits of the fractions of the square roots of 2, 3, 5 and 7, made odd.
const (
	k0 = 0x6a09e667f3bcc909
	k1 = 0xbb67ae8584caa73b
	k2 = 0x3c6ef372fe94f82b
	k3 = 0xa54ff53a5f1d36f1
)

// fold multiplies to 128 bits and folds them: each bit of the result depends on all bits of both.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// hashUint is the hash of an integer. One product would do for high bits; low ones need the second.
func hashUint(v uint64) uint64 {
	hi, lo := bits.Mul64(v^k0, k1)
	return fold(hi^k2, lo^k3)
}

// hashString is the hash of the bytes of s. Short strings are read in two pieces that may overlap.
func hashString(s string) uint64 {
	p := unsafe.Slice(unsafe.StringData(s), len(s))
	n := len(p)
	var a, b uint64
	h := uint64(k0)
	switch {
	case n > 16:
		for i := 0; i < n-16; i += 16 {
			h = fold(binary.LittleEndian.Uint64(p[i:])^k1, binary.LittleEndian.Uint64(p[i+8:])^h)
		}
		a = binary.LittleEndian.Uint64(p[n-16:])
		b = binary.LittleEndian.Uint64(p[n-8:])
	case n >= 8:
		a = binary.LittleEndian.Uint64(p)
		b = binary.LittleEndian.Uint64(p[n-8:])
	case n >= 4:
		a = uint64(binary.LittleEndian.Uint32(p))
		b = uint64(binary.LittleEndian.Uint32(p[n-4:]))
	case n > 0:
		a = uint64(p[0])<<16 | uint64(p[n/2])<<8 | uint64(p[n-1])
	}
	hi, lo := bits.Mul64(a^k1, b^h)
	return fold(hi^k2^uint64(n), lo^k3)
}

// combine appends the hash g of a leaf to the hash h of those before it.
func combine(h, g uint64) uint64 { return fold(h^k2, k1) + g }

func hashLeaves(leaves []leaf, key unsafe.Pointer) uint64 {
	h := uint64(k0)
	for i := range leaves {
		h = combine(h, leaves[i].hash(key))
	}
	return h
}

// hash returns the hash of one leaf of the key.
func (l *leaf) hash(key unsafe.Pointer) uint64 {
	p := unsafe.Add(key, l.off)
	switch l.kind {
	case reflect.String:
		return hashString(*(*string)(p))
	case reflect.Array:
		return hashString(unsafe.String((*byte)(p), l.len))
	case reflect.Bool:
		return hashUint(uint64(*(*uint8)(p)))
	case reflect.Int8:
		return hashUint(uint64(*(*int8)(p)))
	case reflect.Uint8:
		return hashUint(uint64(*(*uint8)(p)))
	case reflect.Int16:
		return hashUint(uint64(*(*int16)(p)))
	case reflect.Uint16:
		return hashUint(uint64(*(*uint16)(p)))
	case reflect.Int32:
		return hashUint(uint64(*(*int32)(p)))
	case reflect.Uint32:
		return hashUint(uint64(*(*uint32)(p)))
	default:
		return hashUint(*(*uint64)(p))
	}
}
