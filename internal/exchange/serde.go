// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"encoding/binary"
	"fmt"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
)

// The payload of a data frame: the number of rows, which columns follow, the rows column by column, event times, key
// hashes; see docs/formats/wire.md.
const (
	payloadHeader = 5
	hasTimes      = 1
	hasHashes     = 2
)

// serdePoolMax bounds the batches that a serde keeps while they are unused: more than one edge of a busy task has in use.
const serdePoolMax = 64

// codecSerde is the Serde of records that a codec knows.
type codecSerde[T any] struct {
	codec   *codec.Codec[T]
	times   *codec.Codec[int64]
	strings codec.Strings
	pool    *element.Pool[T]
}

// SerdeOf makes the serde of one consuming subtask's edge, or of a producer's. With codec.Borrowed the strings of decoded
// batches lie in the frame that they came in, which the consumer lends its operators (element.Loan).
func SerdeOf[T any](c *codec.Codec[T], strings codec.Strings) Serde {
	times, err := codec.For[int64]()
	if err != nil {
		panic(err) // int64 is a native kind
	}
	if !c.Texts() {
		strings = codec.Owned // there is nothing to borrow: the frame can go at once
	}
	return &codecSerde[T]{c, times, strings, element.NewPool[T](element.RowsFor[T](1), serdePoolMax)}
}

// Fingerprint is that of the schema of T.
func (s *codecSerde[T]) Fingerprint() uint64 { return s.codec.Schema().Fingerprint() }

// Append encodes a batch behind dst.
func (s *codecSerde[T]) Append(dst []byte, b element.Any) ([]byte, error) {
	t, err := element.Assert[T](b)
	if err != nil {
		return dst, err
	}
	if t.Len() > element.MaxRows {
		return dst, fmt.Errorf("batch of %d rows, more than %d", t.Len(), element.MaxRows)
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(t.Len()))
	var columns byte
	if t.Times() != nil {
		columns |= hasTimes
	}
	if t.Hashes() != nil {
		columns |= hasHashes
	}
	dst = append(dst, columns)
	dst = s.codec.Append(dst, t.Rows())
	if t.Times() != nil {
		dst = s.times.Append(dst, t.Times())
	}
	for _, h := range t.Hashes() {
		dst = binary.LittleEndian.AppendUint64(dst, h)
	}
	return dst, nil
}

// Decode is the inverse of Append.
func (s *codecSerde[T]) Decode(f *element.Frame) (element.Any, error) {
	src := f.Bytes()
	if len(src) < payloadHeader {
		return nil, fmt.Errorf("%d bytes of a batch: %w", len(src), ErrCorrupt)
	}
	n := binary.LittleEndian.Uint32(src)
	columns := src[4]
	if n > element.MaxRows || columns&^(hasTimes|hasHashes) != 0 {
		return nil, fmt.Errorf("batch of %d rows with columns %#x: %w", n, columns, ErrCorrupt)
	}
	b := s.pool.Get()
	b.Resize(int(n))
	if err := s.fill(b, src[payloadHeader:], columns); err != nil {
		b.Release()
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if s.strings == codec.Borrowed {
		f.Hold()
		b.Borrow(f)
	}
	return b, nil
}

func (s *codecSerde[T]) fill(b *element.Batch[T], src []byte, columns byte) error {
	src, err := s.codec.Decode(src, b.Rows(), s.strings)
	if err != nil {
		return err
	}
	if columns&hasTimes != 0 {
		if src, err = s.times.Decode(src, b.Timed(), codec.Owned); err != nil {
			return fmt.Errorf("event times: %w", err)
		}
	} else {
		b.SetTimes(nil)
	}
	if columns&hasHashes == 0 {
		b.SetHashes(nil)
	} else {
		hashes := b.Keyed()
		if len(src) < 8*len(hashes) {
			return fmt.Errorf("%d bytes of %d hashes", len(src), len(hashes))
		}
		for i := range hashes {
			hashes[i] = binary.LittleEndian.Uint64(src[8*i:])
		}
		src = src[8*len(hashes):]
	}
	if len(src) > 0 {
		return fmt.Errorf("%d bytes behind the batch", len(src))
	}
	return nil
}
