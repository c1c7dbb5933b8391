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

// hashString is the hash of the bytes of s. Up to 16 bytes are read in two pieces that may overlap; of longer ones all but
// the last 16, or fewer, go in before them.
func hashString(s string) uint64 {
	p, n := unsafe.Pointer(unsafe.StringData(s)), len(s)
	var a, b uint64
	h := uint64(k2)
	switch {
	case n > 16:
		for ; n > 16; n -= 16 {
			h = fold(load64(p, 0)^k1, load64(p, 8)^h)
			p = unsafe.Add(p, 16)
		}
		a, b = load64(p, n-16), load64(p, n-8)
	case n >= 8:
		a, b = load64(p, 0), load64(p, n-8)
	case n >= 4:
		a, b = load32(p, 0), load32(p, n-4)
	case n > 0:
		a = uint64(s[0])<<16 | uint64(s[n/2])<<8 | uint64(s[n-1])
	}
	hi, lo := bits.Mul64(a^k1, b^h)
	return fold(hi^k0^uint64(len(s)), lo^k3)
}

// load64 reads the little-endian number at p+i. It must lie within one object.
func load64(p unsafe.Pointer, i int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(p, i))[:])
}

func load32(p unsafe.Pointer, i int) uint64 {
	return uint64(binary.LittleEndian.Uint32((*[4]byte)(unsafe.Add(p, i))[:]))
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
