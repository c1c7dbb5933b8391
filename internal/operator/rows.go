// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/weir-stream/weir/internal/codec"
)

// Splits, enumerator states and committables leave their subtask encoded: the JobMaster keeps them without knowing their
// types, and in checkpoints they outlive the program that wrote them, so each carries its schema.
//
//	version  schema length  schema  ( number of rows  rows )*
//	1 byte   uvarint        ...       uvarint         as codec.Append, at most chunkRows
const (
	rowsVersion = 1
	chunkRows   = 1024
)

// encodeRows is nil for no rows.
func encodeRows[E any](c *codec.Codec[E], rows []E) []byte {
	if len(rows) == 0 {
		return nil
	}
	schema := c.Schema().Marshal()
	data := binary.AppendUvarint([]byte{rowsVersion}, uint64(len(schema)))
	data = append(data, schema...)
	for chunk := range slices.Chunk(rows, chunkRows) {
		data = binary.AppendUvarint(data, uint64(len(chunk)))
		data = c.Append(data, chunk)
	}
	return data
}

// decodeRows is the inverse of encodeRows, also for rows that an older program wrote.
func decodeRows[E any](c *codec.Codec[E], data []byte) ([]E, error) {
	if len(data) == 0 {
		return nil, nil
	}
	if data[0] != rowsVersion {
		return nil, fmt.Errorf("rows of version %d, this program knows %d", data[0], rowsVersion)
	}
	size, data, err := uvarint(data[1:])
	if err != nil {
		return nil, err
	}
	if size > uint64(len(data)) {
		return nil, fmt.Errorf("schema of %d bytes in %d: %w", size, len(data), codec.ErrCorrupt)
	}
	written, err := codec.UnmarshalSchema(data[:size])
	if err != nil {
		return nil, err
	}
	reader, err := c.Reader(written)
	if err != nil {
		return nil, err
	}
	data = data[size:]
	var rows []E
	for len(data) > 0 {
		var n uint64
		if n, data, err = uvarint(data); err != nil {
			return nil, err
		}
		if n == 0 || n > chunkRows {
			return nil, fmt.Errorf("%d rows in a chunk: %w", n, codec.ErrCorrupt)
		}
		chunk := make([]E, n)
		if data, err = reader.Decode(data, chunk, codec.Owned); err != nil {
			return nil, err
		}
		rows = append(rows, chunk...)
	}
	return rows, nil
}

func uvarint(data []byte) (v uint64, rest []byte, err error) {
	v, n := binary.Uvarint(data)
	if n <= 0 {
		return 0, nil, fmt.Errorf("number at the end of rows: %w", codec.ErrCorrupt)
	}
	return v, data[n:], nil
}
