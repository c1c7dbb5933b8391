// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import "math/bits"

// skip passes over the columns of n elements of kind k, and returns what follows. It allocates nothing: counts are only
// used to find lengths.
func skip(k *node, src []byte, n int) (rest []byte, err error) {
	if n == 0 {
		return src, nil
	}
	switch k.kind {
	case Struct:
		for _, f := range k.fields {
			if src, err = skip(f.node, src, n); err != nil {
				return nil, err
			}
		}
		return src, nil
	case Array:
		over, count := bits.Mul64(uint64(k.len), uint64(n))
		if over != 0 || int(count) < 0 || uint64(int(count)) != count {
			return nil, errChildren
		}
		return skip(k.elem, src, int(count))
	case Bool:
		return cut(src, n/8+(n%8+7)/8)
	case Float32, Float64:
		size := 4 << (k.kind - Float32)
		if n > len(src)/size {
			return nil, errShort
		}
		return src[n*size:], nil
	case Time:
		if _, src, err = parseInts(src, n, true); err != nil {
			return nil, err
		}
		_, src, err = parseInts(src, n, true)
		return src, err
	case String:
		c, src, err := parseInts(src, n, false)
		if err != nil {
			return nil, err
		}
		total, err := c.sum(n, uint64(len(src)))
		if err != nil {
			return nil, err
		}
		return src[total:], nil
	case Bytes, Slice, Map:
		return skipLists(k, src, n)
	case Pointer:
		return skipPointers(k, src, n)
	case Binary:
		for range n {
			if _, src, err = parseBinary(src); err != nil {
				return nil, err
			}
		}
		return src, nil
	default:
		_, src, err = parseInts(src, n, k.kind.signed())
		return src, err
	}
}

func skipLists(k *node, src []byte, n int) ([]byte, error) {
	d := decoder{src: src}
	limit := uint64(len(src))
	if k.kind != Bytes {
		limit = childrenMax(src)
	}
	_, total, err := d.lengths(n, limit)
	if err != nil {
		return nil, err
	}
	switch k.kind {
	case Bytes:
		return cut(d.src, total)
	case Map:
		if d.src, err = skipChildren(k.key, d.src, total); err != nil {
			return nil, err
		}
	}
	return skipChildren(k.elem, d.src, total)
}

func skipChildren(k *node, src []byte, n int) ([]byte, error) {
	rest, err := skip(k, src, n)
	if err != nil {
		return nil, err
	}
	if least := childBytes(n); len(src)-len(rest) < least {
		return cut(src, least)
	}
	return rest, nil
}

func skipPointers(k *node, src []byte, n int) ([]byte, error) {
	size := n/8 + (n%8+7)/8
	rest, err := cut(src, size)
	if err != nil {
		return nil, err
	}
	present := 0
	for i := range n {
		present += int(src[i/8] >> (i % 8) & 1)
	}
	return skip(k.elem, rest, present)
}

// cut returns src without its first size bytes.
func cut(src []byte, size int) ([]byte, error) {
	if size > len(src) {
		return nil, errShort
	}
	return src[size:], nil
}
