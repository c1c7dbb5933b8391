// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/weir-stream/weir/internal/checkpoint"
)

// A record is one line, to be read by people too:
//
//	weir KIND VERSION CHECKSUM JSON\n      CHECKSUM: crc32c of all behind it, 8 hex digits
const recordVersion = 1

func encodeRecord(kind string, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s record: %w", kind, err)
	}
	body = append(body, '\n')
	head := fmt.Sprintf("weir %s %d %08x ", kind, recordVersion, checkpoint.Checksum(body))
	return append([]byte(head), body...), nil
}

// decodeRecord reads what encodeRecord wrote. Fields that it doesn't know are skipped.
func decodeRecord(kind string, b []byte, v any) error {
	parts := bytes.SplitN(b, []byte(" "), 5)
	if len(parts) != 5 || string(parts[0]) != "weir" || string(parts[1]) != kind {
		return fmt.Errorf("%w: no %s record", checkpoint.ErrCorrupt, kind)
	}
	version, err := strconv.Atoi(string(parts[2]))
	if err == nil && version > recordVersion {
		return fmt.Errorf("%w: %s record of version %d", checkpoint.ErrVersion, kind, version)
	}
	if sum := fmt.Sprintf("%08x", checkpoint.Checksum(parts[4])); err != nil || sum != string(parts[3]) {
		return fmt.Errorf("%w: %s record: checksum %s, stored %q", checkpoint.ErrCorrupt, kind, sum, parts[3])
	}
	if err := json.Unmarshal(parts[4], v); err != nil {
		return fmt.Errorf("%w: %s record: %w", checkpoint.ErrCorrupt, kind, err)
	}
	return nil
}

// GetRecord reads one record of a kind into v; the error names the file.
func GetRecord(ctx context.Context, o Objects, name, kind string, v any) error {
	b, err := o.Get(ctx, name)
	if err != nil {
		return err
	}
	if err := decodeRecord(kind, b, v); err != nil {
		return fmt.Errorf("%s: %w", checkpoint.Join(o.Location(), name), err)
	}
	return nil
}

// PutRecord makes or replaces a single record: for what has one writer and decides nothing.
func PutRecord(ctx context.Context, o Objects, name, kind string, v any) error {
	b, err := encodeRecord(kind, v)
	if err != nil {
		return err
	}
	return o.Put(ctx, name, b)
}

// createRecord makes a record that carries the epoch of its maker, so that one with the same bytes is the caller's own:
// an earlier attempt ended in an error but had happened. If another was first, created is false.
func createRecord(ctx context.Context, o Objects, name, kind string, v any) (created bool, err error) {
	b, err := encodeRecord(kind, v)
	if err != nil {
		return false, err
	}
	if created, err = o.Create(ctx, name, b); err != nil || created {
		return created, err
	}
	there, err := o.Get(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // another's, and removed by a later one
	}
	return err == nil && bytes.Equal(there, b), err
}

// number is a name in a log, or of a checkpoint: fixed width, so that names sort as numbers do.
func number(n int64) string { return fmt.Sprintf("%020d", n) }

func parseNumber(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n > 0 && number(n) == s
}

// part makes a text fit for a name.
func part(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, s)
	return clean[:min(len(clean), 64)]
}
