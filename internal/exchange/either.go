// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"fmt"
	"math/bits"

	"github.com/weir-stream/weir/element"
)

// otherRows marks, among the columns of a payload, that the rows are of the second type of an edge.
const otherRows = 4

// eitherSerde is the Serde of an edge with batches of two types.
type eitherSerde struct {
	one, other Serde
	isOther    func(element.Any) bool
}

// Either makes the serde of an edge that carries batches of T, by one, and of O, by other; both are of SerdeOf.
func Either[T, O any](one, other Serde) Serde {
	return &eitherSerde{one, other, func(b element.Any) bool {
		_, ok := b.(*element.Batch[O])
		return ok
	}}
}

// Fingerprint is that of both.
func (s *eitherSerde) Fingerprint() uint64 {
	return s.one.Fingerprint() ^ bits.RotateLeft64(s.other.Fingerprint(), 1)
}

// Append encodes a batch of either type.
func (s *eitherSerde) Append(dst []byte, b element.Any) ([]byte, error) {
	if !s.isOther(b) {
		return s.one.Append(dst, b)
	}
	start := len(dst)
	dst, err := s.other.Append(dst, b)
	if err != nil {
		return dst, err
	}
	dst[start+payloadHeader-1] |= otherRows
	return dst, nil
}

// Decode is the inverse of Append. It takes the mark out of the frame, which nobody else holds yet.
func (s *eitherSerde) Decode(f *element.Frame) (element.Any, error) {
	src := f.Bytes()
	if len(src) < payloadHeader {
		return nil, fmt.Errorf("%d bytes of a batch: %w", len(src), ErrCorrupt)
	}
	if columns := &src[payloadHeader-1]; *columns&otherRows != 0 {
		*columns &^= otherRows
		return s.other.Decode(f)
	}
	return s.one.Decode(f)
}
