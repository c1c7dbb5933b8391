// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
)

var rewrite = flag.Bool("rewrite", false, "write the golden file of the wire format")

// TestWireFormat compares what is sent with a golden file: a difference needs another wireVersion.
func TestWireFormat(t *testing.T) {
	keyed := batch(2, 100, 3)
	keyed.SetHashes([]uint64{1, 2, 1 << 63})
	bare := batch(3, 7, 1)
	bare.SetTimes(nil)
	payload := func(b element.Any) []byte {
		p, err := serde(t).Append(nil, b)
		must(t, err)
		return p
	}
	control := func(c element.Control) []byte { return appendControl(nil, c) }
	var got strings.Builder
	for _, part := range []struct {
		name  string
		bytes []byte
	}{
		{"hello", hello{version: wireVersion, credits: 4, job: "job", refusal: "no"}.bytes()},
		{"header", header{length: 300, stream: 7, kind: frameData, sequence: 9}.append(nil)},
		{"ping", header{kind: framePing}.append(nil)},
		{"subscribe", subscribe{PartitionID{Attempt: 1 << 40, Edge: 3}, 5, 0xABCDEF}.append(nil)},
		{"watermark", control(watermark(-2))},
		{"barrier", control(barrier(77))},
		{"idle", control(element.Control{Kind: element.Idle})},
		{"active", control(element.Control{Kind: element.Active})},
		{"end", control(end)},
		{"batch with times and hashes", payload(keyed)},
		{"batch without", payload(bare)},
	} {
		fmt.Fprintf(&got, "%s\n%s\n", part.name, hex.Dump(part.bytes))
	}
	const file = "testdata/wire-2.txt"
	if *rewrite {
		must(t, os.WriteFile(file, []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if got.String() != string(want) {
		t.Errorf("wire format changed:\n%s", got.String())
	}
}

func TestControlRoundTrip(t *testing.T) {
	for _, c := range []element.Control{
		watermark(0),
		watermark(math.MaxInt64),
		watermark(math.MinInt64),
		barrier(1 << 50),
		end,
		{Kind: element.Idle},
		{Kind: element.Active},
	} {
		got, err := parseControl(appendControl(nil, c))
		if err != nil || got != c {
			t.Errorf("%+v became %+v, %v", c, got, err)
		}
	}
	for _, src := range [][]byte{
		nil,
		make([]byte, controlBytes),
		append([]byte{99}, make([]byte, 9)...),
		{byte(element.Idle), 0, 1, 0, 0, 0, 0, 0, 0, 0},
		{byte(element.Watermark), 1, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		if c, err := parseControl(src); !errors.Is(err, ErrCorrupt) {
			t.Errorf("% x is %+v, %v", src, c, err)
		}
	}
}

// roundTrip encodes a batch and decodes it again.
func roundTrip(t *testing.T, s Serde, frames *element.FramePool, b *element.Batch[event]) *element.Batch[event] {
	t.Helper()
	p, err := s.Append(nil, b)
	must(t, err)
	f := frames.Get(len(p))
	copy(f.Bytes(), p)
	got, err := s.Decode(f)
	must(t, err)
	f.Release()
	return got.(*element.Batch[event])
}

func TestSerdeKeepsColumns(t *testing.T) {
	c, err := codec.For[event]()
	must(t, err)
	var frames element.FramePool
	for _, mode := range []codec.Strings{codec.Owned, codec.Borrowed} {
		s := SerdeOf(c, mode)
		for i := range 16 { // batches of all shapes in turn, out of the same pool
			want := batch(1, int64(i), 1+i*7)
			if i&1 != 0 {
				want.SetTimes(nil)
			}
			if i&2 != 0 {
				want.Keyed()[i] = uint64(i) << 60
			}
			got := roundTrip(t, s, &frames, want)
			if !slices.Equal(got.Rows(), want.Rows()) || !slices.Equal(got.Times(), want.Times()) ||
				!slices.Equal(got.Hashes(), want.Hashes()) || (got.Times() == nil) != (want.Times() == nil) {
				t.Fatalf("batch %d came back as %v, %v, %v", i, got.Rows(), got.Times(), got.Hashes())
			}
			if got.Borrowed() != bool(mode) {
				t.Fatalf("borrowed: %v", got.Borrowed())
			}
			got.Release()
		}
	}
}

func TestOwnedStringsOutliveTheirFrame(t *testing.T) {
	var frames element.FramePool
	b := roundTrip(t, serde(t), &frames, batch(0, 41, 1))
	name := b.Rows()[0].Name
	b.Release()
	clear(frames.Get(64).Bytes()) // the frame that it came in
	if name != "record 41" {
		t.Fatalf("string became %q", name)
	}
}

func TestSerdeRefuses(t *testing.T) {
	s := serde(t)
	if _, err := s.Append(nil, element.NewBatch[bid](1)); err == nil {
		t.Error("a batch of other records was encoded")
	}
	if _, err := s.Append(nil, batch(0, 0, element.MaxRows+1)); err == nil {
		t.Error("a batch of too many rows was encoded")
	}
}

// FuzzDecode gives a serde any bytes: it returns an error or a batch whose encoding decodes to the same, and never panics.
func FuzzDecode(f *testing.F) {
	s := serde(f)
	for i := range 4 {
		b := batch(1, 5, 3)
		if i&1 != 0 {
			b.SetTimes(nil)
		}
		if i&2 != 0 {
			b.Keyed()
		}
		p, err := s.Append(nil, b)
		must(f, err)
		f.Add(p)
		f.Add(p[:len(p)-1])
	}
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0xFF, 3})
	var frames element.FramePool
	decode := func(src []byte) (*element.Batch[event], error) {
		fr := frames.Get(len(src))
		defer fr.Release()
		copy(fr.Bytes(), src)
		b, err := s.Decode(fr)
		if err != nil {
			return nil, err
		}
		return b.(*element.Batch[event]), nil
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		b, err := decode(src)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("error %v", err)
			}
			return
		}
		p, err := s.Append(nil, b)
		must(t, err)
		again, err := decode(p)
		must(t, err)
		if !slices.Equal(b.Rows(), again.Rows()) || !slices.Equal(b.Times(), again.Times()) {
			t.Fatalf("%v became %v", b.Rows(), again.Rows())
		}
	})
}

// FuzzFrames reads any bytes as greetings and frames: nothing panics, and no memory is taken for bytes that don't come.
func FuzzFrames(f *testing.F) {
	f.Add(hello{version: 1, job: "job"}.bytes())
	f.Add(append(header{length: 3, stream: 1, kind: frameData, sequence: 1}.append(nil), 1, 2, 3))
	f.Add(header{length: payloadBytesMax, kind: frameData}.append(nil))
	f.Add(append(header{length: controlBytes, kind: frameControl}.append(nil), appendControl(nil, barrier(3))...))
	f.Add(append(header{length: subscribeBytes, kind: frameSubscribe}.append(nil), subscribe{}.append(nil)...))
	f.Fuzz(func(t *testing.T, src []byte) {
		if h, err := readHello(bytes.NewReader(src)); err == nil {
			if got := h.bytes(); !bytes.Equal(got, src[:len(got)]) {
				t.Fatalf("greeting % x became % x", src, got)
			}
		}
		var frames element.FramePool
		r := bytes.NewReader(src)
		for {
			h, err := readHeader(r)
			if err != nil {
				return
			}
			p, err := readPayload(r, &frames, int(h.length))
			if err != nil {
				return
			}
			if c, err := parseControl(p.Bytes()); err == nil && !bytes.Equal(appendControl(nil, c), p.Bytes()) {
				t.Fatalf("control % x is %+v", p.Bytes(), c)
			}
			if s, err := parseSubscribe(p.Bytes()); err == nil && !bytes.Equal(s.append(nil), p.Bytes()) {
				t.Fatalf("subscription % x is %+v", p.Bytes(), s)
			}
			p.Release()
		}
	})
}

func TestLargePayloadIsReadInSteps(t *testing.T) {
	src := make([]byte, 3*payloadStep+17)
	for i := range src {
		src[i] = byte(i * 7)
	}
	var frames element.FramePool
	f, err := readPayload(bytes.NewReader(src), &frames, len(src))
	must(t, err)
	if !bytes.Equal(f.Bytes(), src) {
		t.Fatal("payload differs")
	}
	f.Release()
	if _, err := readPayload(bytes.NewReader(src), &frames, payloadBytesMax); err == nil {
		t.Fatal("a truncated payload was read")
	}
}
