// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/weir-stream/weir/internal/statebackend"
)

// Version is the format that Encode writes; Decode reads it and all before.
const Version = 1

// The stored form is a frame around the fields:
//
//	magic 8 | version u32 | length of body u64 | body | crc32c of all before u32      (little endian)
const (
	magic       = "WEIRCHKP"
	headerBytes = 8 + 4 + 8
	frameBytes  = headerBytes + 4
)

// Features that a reader must know, or refuse. Bit 0 is reserved for in-flight data, bit 1 for states stored by column.
const knownFeatures = 0

// ErrCorrupt is wrapped by errors about stored bytes that are not what was written.
var ErrCorrupt = errors.New("corrupt")

// ErrVersion is wrapped by errors about bytes that a later version wrote.
var ErrVersion = errors.New("written by a later version")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is crc32c, which everything stored is checked by.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// Encode returns the stored form. The same value has the same bytes.
func (m *Metadata) Encode() ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("encode checkpoint %d: %w", m.ID, err)
	}
	b := make([]byte, headerBytes, 4096)
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], Version)
	e := metadataEncoder{encoder: encoder{b: b}, schemas: map[string]int{}}
	e.metadata(m)
	binary.LittleEndian.PutUint64(e.b[12:], uint64(len(e.b)-headerBytes))
	return binary.LittleEndian.AppendUint32(e.b, Checksum(e.b)), nil
}

// Decode reads what Encode wrote. The error says what is wrong, and wraps ErrCorrupt or ErrVersion; the caller adds the
// name of the file. The result does not alias b.
func Decode(b []byte) (*Metadata, error) {
	body, err := openFrame(b)
	if err != nil {
		return nil, err
	}
	var d metadataDecoder
	m, err := d.metadata(append([]byte(nil), body...))
	if errors.Is(err, ErrVersion) {
		return nil, err
	}
	if err == nil {
		err = m.Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return m, nil
}

func openFrame(b []byte) (body []byte, err error) {
	if len(b) < frameBytes {
		return nil, fmt.Errorf("%w: truncated: %d bytes, want at least %d", ErrCorrupt, len(b), frameBytes)
	}
	if string(b[:8]) != magic {
		return nil, fmt.Errorf("%w: no checkpoint metadata: begins with %q", ErrCorrupt, b[:8])
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v == 0 || v > Version {
		return nil, fmt.Errorf("%w: format %d, this one reads up to %d", ErrVersion, v, Version)
	}
	if n := binary.LittleEndian.Uint64(b[12:]); n != uint64(len(b)-frameBytes) {
		return nil, fmt.Errorf("%w: truncated or extended: body of %d bytes, header says %d", ErrCorrupt, len(b)-frameBytes, n)
	}
	end := len(b) - 4
	if got, want := Checksum(b[:end]), binary.LittleEndian.Uint32(b[end:]); got != want {
		return nil, fmt.Errorf("%w: checksum %08x, stored %08x", ErrCorrupt, got, want)
	}
	return b[headerBytes:end], nil
}

// metadataEncoder stores each distinct schema once: the subtasks of an operator share theirs.
type metadataEncoder struct {
	encoder
	schemas map[string]int
	table   [][]byte
}

func (e *metadataEncoder) metadata(m *Metadata) {
	e.string(2, m.JobID)
	e.string(3, m.JobName)
	e.uint(4, uint64(m.ID))
	e.uint(5, uint64(m.Epoch))
	e.uint(6, uint64(m.Kind))
	if !m.Trigger.IsZero() {
		e.fixed64(7, uint64(m.Trigger.UnixNano()))
	}
	e.fixed64(8, m.Fingerprint)
	var operators encoder // written behind the schemas that they refer to
	for i := range m.Operators {
		operators.message(10, func(w *encoder) { e.operator(w, &m.Operators[i]) })
	}
	for _, s := range e.table {
		e.element(9, s)
	}
	e.b = append(e.b, operators.b...)
	if h := m.History; h != nil {
		e.message(11, func(w *encoder) { w.history(h) })
	}
}

func (e *encoder) history(h *History) {
	e.uint(1, uint64(h.Total))
	e.uint(2, uint64(h.Completed))
	e.uint(3, uint64(h.Restored))
	e.uint(4, uint64(h.Restarts))
	packed(e, 5, h.Attempts)
	if !h.Acknowledged.IsZero() {
		e.fixed64(6, uint64(h.Acknowledged.UnixNano()))
	}
}

func decodeHistory(b []byte) (*History, error) {
	h := &History{}
	err := eachField(b, func(f field) (err error) {
		switch f.n {
		case 1:
			h.Total = int64(f.num)
		case 2:
			h.Completed = int64(f.num)
		case 3:
			h.Restored = int64(f.num)
		case 4:
			h.Restarts = int64(f.num)
		case 5:
			h.Attempts, err = unpack[int64](f.data)
		case 6:
			h.Acknowledged = time.Unix(0, int64(f.num)).UTC()
		}
		return err
	})
	return h, err
}

func (e *metadataEncoder) operator(w *encoder, o *Operator) {
	w.string(1, string(o.ID))
	w.string(2, o.UID)
	w.string(3, o.Name)
	w.uint(4, uint64(o.Parallelism))
	w.uint(5, uint64(o.MaxParallelism))
	if en := o.Enumerator; en != nil {
		w.message(6, func(w *encoder) {
			w.bytes(1, en.State)
			packed(w, 2, en.Assigned)
		})
	}
	for i := range o.Subtasks {
		s := &o.Subtasks[i]
		w.message(7, func(w *encoder) {
			if s.Finished {
				w.uint(1, 1)
			}
			if len(s.State.Segments)+len(s.State.States) > 0 {
				w.message(2, func(w *encoder) { e.handle(w, &s.State) })
			}
			w.bytes(3, s.Committables)
		})
	}
}

func (e *metadataEncoder) handle(w *encoder, h *StateHandle) {
	for i := range h.Segments {
		s := &h.Segments[i]
		w.message(1, func(w *encoder) {
			w.uint(1, uint64(s.Checkpoint))
			w.string(2, s.Path)
			w.uint(3, uint64(s.Size))
			w.uint(4, uint64(s.Bytes))
			w.fixed32(5, s.Checksum)
			w.bytes(6, s.Inline)
		})
	}
	for i := range h.States {
		s := &h.States[i]
		w.message(2, func(w *encoder) {
			w.string(1, s.Name)
			w.uint(2, uint64(s.Kind))
			w.uint(3, e.schema(s.Schema))
			packed(w, 4, s.Segments)
			w.uint(5, uint64(s.Rows))
		})
	}
}

// schema returns the number of a schema, from 1; 0 is none.
func (e *metadataEncoder) schema(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	i, ok := e.schemas[string(b)]
	if !ok {
		e.table = append(e.table, b)
		i = len(e.table)
		e.schemas[string(b)] = i
	}
	return uint64(i)
}

// metadataDecoder holds the schemas, which come before what refers to them.
type metadataDecoder struct{ schemas [][]byte }

func (d *metadataDecoder) metadata(body []byte) (*Metadata, error) {
	m := &Metadata{}
	err := eachField(body, func(f field) (err error) {
		switch f.n {
		case 1:
			if f.num&^knownFeatures != 0 {
				return fmt.Errorf("%w: it uses features %#x", ErrVersion, f.num&^knownFeatures)
			}
		case 2:
			m.JobID = string(f.data)
		case 3:
			m.JobName = string(f.data)
		case 4:
			m.ID = int64(f.num)
		case 5:
			m.Epoch = int64(f.num)
		case 6:
			m.Kind = Kind(min(f.num, 255))
		case 7:
			m.Trigger = time.Unix(0, int64(f.num)).UTC()
		case 8:
			m.Fingerprint = f.num
		case 9:
			d.schemas = append(d.schemas, f.data)
		case 10:
			var o Operator
			o, err = d.operator(f.data)
			m.Operators = append(m.Operators, o)
		case 11:
			m.History, err = decodeHistory(f.data)
		}
		return err
	})
	return m, err
}

func (d *metadataDecoder) operator(b []byte) (o Operator, err error) {
	err = eachField(b, func(f field) (err error) {
		switch f.n {
		case 1:
			o.ID = OperatorID(f.data)
		case 2:
			o.UID = string(f.data)
		case 3:
			o.Name = string(f.data)
		case 4:
			o.Parallelism = int(int32(f.num))
		case 5:
			o.MaxParallelism = int(int32(f.num))
		case 6:
			o.Enumerator, err = decodeEnumerator(f.data)
		case 7:
			var s Subtask
			s, err = d.subtask(f.data)
			o.Subtasks = append(o.Subtasks, s)
		}
		return err
	})
	return o, err
}

func decodeEnumerator(b []byte) (*Enumerator, error) {
	e := &Enumerator{}
	err := eachField(b, func(f field) (err error) {
		switch f.n {
		case 1:
			e.State = f.data
		case 2:
			e.Assigned, err = unpack[int64](f.data)
		}
		return err
	})
	return e, err
}

func (d *metadataDecoder) subtask(b []byte) (s Subtask, err error) {
	err = eachField(b, func(f field) (err error) {
		switch f.n {
		case 1:
			s.Finished = f.num != 0
		case 2:
			s.State, err = d.handle(f.data)
		case 3:
			s.Committables = f.data
		}
		return err
	})
	return s, err
}

func (d *metadataDecoder) handle(b []byte) (h StateHandle, err error) {
	err = eachField(b, func(f field) (err error) {
		switch f.n {
		case 1:
			var s Segment
			s, err = decodeSegment(f.data)
			h.Segments = append(h.Segments, s)
		case 2:
			var s State
			s, err = d.state(f.data)
			h.States = append(h.States, s)
		}
		return err
	})
	return h, err
}

func decodeSegment(b []byte) (s Segment, err error) {
	err = eachField(b, func(f field) error {
		switch f.n {
		case 1:
			s.Checkpoint = int64(f.num)
		case 2:
			s.Path = string(f.data)
		case 3:
			s.Size = int64(f.num)
		case 4:
			s.Bytes = int64(f.num)
		case 5:
			s.Checksum = uint32(f.num)
		case 6:
			s.Inline = f.data
		}
		return nil
	})
	return s, err
}

func (d *metadataDecoder) state(b []byte) (s State, err error) {
	err = eachField(b, func(f field) (err error) {
		switch f.n {
		case 1:
			s.Name = string(f.data)
		case 2:
			s.Kind = statebackend.Kind(min(f.num, 255))
		case 3:
			if f.num == 0 || f.num > uint64(len(d.schemas)) {
				return fmt.Errorf("state %q: schema %d of %d", s.Name, f.num, len(d.schemas))
			}
			s.Schema = d.schemas[f.num-1]
		case 4:
			s.Segments, err = unpack[int](f.data)
		case 5:
			s.Rows = int64(f.num)
		}
		return err
	})
	return s, err
}
