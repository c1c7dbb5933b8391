// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/weir-stream/weir/element"
)

// What follows is the protocol of a connection; docs/formats/wire.md describes it.
const (
	wireVersion = 2
	wireMagic   = "WEIR"
	headerBytes = 16
	jobBytesMax = 256
	// payloadBytesMax bounds a frame: a batch that encodes to more fails its producer, a longer length is corrupt.
	payloadBytesMax = 256 << 20
	// messageBytesMax bounds payloads that are no batches.
	messageBytesMax = 4 << 10
)

// frameKind says what a frame is; the first three go from consumers to producers, the next three back, the last both ways.
type frameKind uint8

const (
	frameSubscribe frameKind = iota + 1
	frameCredit
	frameLeave
	frameData
	frameControl
	frameFailed
	framePing
)

// header stands before each frame, little-endian, in this order; two zero bytes lie between kind and sequence, and one
// of flags, zero too.
type header struct {
	// length is that of the payload.
	length uint32
	stream uint32
	kind   frameKind
	// sequence counts data and control of a stream from one. That of a credit is the number of batches released so far.
	sequence uint32
}

func (h header) put(dst []byte) {
	binary.LittleEndian.PutUint32(dst, h.length)
	binary.LittleEndian.PutUint32(dst[4:], h.stream)
	binary.LittleEndian.PutUint32(dst[8:], uint32(h.kind))
	binary.LittleEndian.PutUint32(dst[12:], h.sequence)
}

func (h header) append(dst []byte) []byte {
	dst = append(dst, make([]byte, headerBytes)...)
	h.put(dst[len(dst)-headerBytes:])
	return dst
}

// parseHeader checks all that can be known of a header alone.
func parseHeader(src []byte) (header, error) {
	h := header{
		length:   binary.LittleEndian.Uint32(src),
		stream:   binary.LittleEndian.Uint32(src[4:]),
		kind:     frameKind(src[8]),
		sequence: binary.LittleEndian.Uint32(src[12:]),
	}
	limit := uint32(messageBytesMax)
	if h.kind == frameData {
		limit = payloadBytesMax
	}
	switch {
	case src[9]|src[10]|src[11] != 0 || h.kind == 0 || h.kind > framePing || h.kind == framePing && h != (header{kind: framePing}):
		return h, fmt.Errorf("header % x: %w", src, ErrCorrupt)
	case h.length > limit:
		return h, fmt.Errorf("payload of %d bytes, more than %d: %w", h.length, limit, ErrCorrupt)
	}
	return h, nil
}

// readHeader reads the header of the next frame.
func readHeader(r io.Reader) (header, error) {
	var buf [headerBytes]byte
	if _, err := io.ReadFull(r, buf[:]); err != nil {
		return header{}, err
	}
	return parseHeader(buf[:])
}

// subscribe is the payload of frameSubscribe.
type subscribe struct {
	id           PartitionID
	subpartition uint32
	fingerprint  uint64
}

const subscribeBytes = 24

func (s subscribe) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.id.Attempt))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(s.id.Edge))
	dst = binary.LittleEndian.AppendUint32(dst, s.subpartition)
	return binary.LittleEndian.AppendUint64(dst, s.fingerprint)
}

func parseSubscribe(src []byte) (subscribe, error) {
	if len(src) != subscribeBytes {
		return subscribe{}, fmt.Errorf("subscription of %d bytes: %w", len(src), ErrCorrupt)
	}
	return subscribe{
		id: PartitionID{
			Attempt: int64(binary.LittleEndian.Uint64(src)),
			Edge:    int(binary.LittleEndian.Uint32(src[8:])),
		},
		subpartition: binary.LittleEndian.Uint32(src[12:]),
		fingerprint:  binary.LittleEndian.Uint64(src[16:]),
	}, nil
}

// controlBytes is the length of frameControl: kind, flags of a barrier, and a time or the id of a checkpoint.
const controlBytes = 10

func appendControl(dst []byte, c element.Control) []byte {
	value := c.At
	if c.Kind == element.Barrier {
		value = c.Checkpoint.ID
	}
	dst = append(dst, byte(c.Kind), byte(c.Checkpoint.Flags))
	return binary.LittleEndian.AppendUint64(dst, uint64(value))
}

func parseControl(src []byte) (element.Control, error) {
	if len(src) != controlBytes {
		return element.Control{}, fmt.Errorf("control of %d bytes: %w", len(src), ErrCorrupt)
	}
	c := element.Control{Kind: element.Kind(src[0])}
	flags, value := src[1], int64(binary.LittleEndian.Uint64(src[2:]))
	switch c.Kind {
	case element.Barrier:
		c.Checkpoint = element.CheckpointBarrier{ID: value, Flags: element.BarrierFlags(flags)}
		return c, nil
	case element.Watermark:
		c.At, value = value, 0
	case element.Idle, element.Active, element.EndOfInput:
	default:
		return c, fmt.Errorf("control of %v: %w", c.Kind, ErrCorrupt)
	}
	if value != 0 || flags != 0 {
		return c, fmt.Errorf("control %v with %d, flags %#x: %w", c.Kind, value, flags, ErrCorrupt)
	}
	return c, nil
}

// hello opens a connection in both directions; the side that was dialed answers with why it refuses, or nothing.
type hello struct {
	version, credits uint16
	job              string
	refusal          string
}

func (h hello) bytes() []byte {
	dst := []byte(wireMagic)
	dst = binary.LittleEndian.AppendUint16(dst, h.version)
	dst = binary.LittleEndian.AppendUint16(dst, h.credits)
	for _, s := range []string{h.job, h.refusal} {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(len(s)))
		dst = append(dst, s...)
	}
	return dst
}

func readHello(r io.Reader) (hello, error) {
	var fixed [8]byte
	if _, err := io.ReadFull(r, fixed[:]); err != nil {
		return hello{}, err
	}
	if string(fixed[:4]) != wireMagic {
		return hello{}, fmt.Errorf("greeting begins with %q: %w", fixed[:4], ErrCorrupt)
	}
	h := hello{version: binary.LittleEndian.Uint16(fixed[4:]), credits: binary.LittleEndian.Uint16(fixed[6:])}
	for _, to := range []*string{&h.job, &h.refusal} {
		var length [2]byte
		if _, err := io.ReadFull(r, length[:]); err != nil {
			return hello{}, err
		}
		n := binary.LittleEndian.Uint16(length[:])
		if n > messageBytesMax {
			return hello{}, fmt.Errorf("greeting of %d bytes: %w", n, ErrCorrupt)
		}
		text := make([]byte, n)
		if _, err := io.ReadFull(r, text); err != nil {
			return hello{}, err
		}
		*to = string(text)
	}
	return h, nil
}

// refuse says why a side with hello h does not talk to the one with o; empty if it does.
func (h hello) refuse(o hello) string {
	switch {
	case h.version != o.version:
		return fmt.Sprintf("protocol version %d, want %d", o.version, h.version)
	case h.job != o.job:
		return fmt.Sprintf("job %q, want %q", o.job, h.job)
	case h.credits != o.credits:
		return fmt.Sprintf("%d credits a channel, want %d", o.credits, h.credits)
	}
	return ""
}
