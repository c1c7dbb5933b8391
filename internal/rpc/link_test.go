// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// frames notes what a link or a Router hands out.
type frames struct {
	mu  sync.Mutex
	got []*weirpb.Frame
}

func (c *frames) receive(f *weirpb.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, f)
}

// sequences are those of the Envelopes that came.
func (c *frames) sequences() []int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	var s []int64
	for _, f := range c.got {
		if e := f.GetEnvelope(); e != nil {
			s = append(s, e.GetSequence())
		}
	}
	return s
}

func envelope(to string, sequence int64) *weirpb.Envelope {
	e := message()
	e.Protocol, e.From, e.To, e.Sequence = Protocol, "sender", to, sequence
	return e
}

func frameOf(e *weirpb.Envelope) *weirpb.Frame {
	return &weirpb.Frame{Body: &weirpb.Frame_Envelope{Envelope: e}}
}

func namesFrame(names ...string) *weirpb.Frame {
	return &weirpb.Frame{Body: &weirpb.Frame_Names{Names: &weirpb.Names{Names: names}}}
}

func specFrame(dir string) *weirpb.Frame {
	return &weirpb.Frame{Body: &weirpb.Frame_Spec{Spec: &weirpb.RoleSpec{Dir: dir}}}
}

func TestLinkKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		var atNear, atFar frames
		a, b := NewLink(near, atNear.receive), NewLink(far, atFar.receive)
		a.Send(specFrame("/data"))
		const n = 5000
		for i := range int64(n) {
			if !a.Send(frameOf(envelope("x", i))) || !b.Send(frameOf(envelope("y", i))) {
				t.Fatal("frame refused")
			}
		}
		large := envelope("x", n)
		large.JobId = strings.Repeat("j", 3<<20) // far beyond the buffers
		a.Send(frameOf(large))
		synctest.Wait()
		if err := a.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		<-b.Done()
		if err := b.Err(); !errors.Is(err, io.EOF) {
			t.Errorf("the peer closed: %v, want EOF", err)
		}
		for name, c := range map[string]struct {
			got  []int64
			want int64
		}{"far": {atFar.sequences(), n + 1}, "near": {atNear.sequences(), n}} {
			if int64(len(c.got)) != c.want || !slices.IsSorted(c.got) {
				t.Errorf("%s: %d envelopes, want %d in order", name, len(c.got), c.want)
			}
		}
		if got := atFar.got[0].GetSpec().GetDir(); got != "/data" {
			t.Errorf("spec of %q came first", got)
		}
		if a.Send(namesFrame("x")) {
			t.Error("a closed link takes frames")
		}
		if err := errors.Join(b.Close(), a.Close()); !errors.Is(err, io.EOF) {
			t.Errorf("closed again: %v", err)
		}
	})
}

// TestLinkFlushesOnClose: what a process says last arrives, and a peer that doesn't read holds nobody up.
func TestLinkFlushesOnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		a := NewLink(near, func(*weirpb.Frame) {})
		a.Send(&weirpb.Frame{Body: &weirpb.Frame_Failed{Failed: &weirpb.RoleFailed{Error: "last words"}}})
		begin := time.Now()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != LinkFlushTimeout {
			t.Errorf("close took %v with a peer that reads nothing", took)
		}
		_ = far.Close()

		near, far = net.Pipe()
		a = NewLink(near, func(*weirpb.Frame) {})
		a.Send(&weirpb.Frame{Body: &weirpb.Frame_Failed{Failed: &weirpb.RoleFailed{Error: "last words"}}})
		var got frames
		b := NewLink(far, got.receive)
		begin = time.Now()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		<-b.Done()
		_ = b.Close()
		if took := time.Since(begin); took != 0 || len(got.got) != 1 || got.got[0].GetFailed().GetError() != "last words" {
			t.Errorf("got %v after %v", got.got, took)
		}
	})
}

// TestLinkIsBounded: with a peer that reads nothing, Envelopes are dropped and all else is kept, up to a limit.
func TestLinkIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		a := NewLink(near, func(*weirpb.Frame) {})
		a.Send(frameOf(envelope("x", -1)))
		synctest.Wait() // the writer hangs with it
		sent := int64(0)
		for a.Send(frameOf(envelope("x", sent))) {
			sent++
		}
		if sent != QueueFramesMax {
			t.Errorf("%d envelopes queued, want %d", sent, QueueFramesMax)
		}
		for i := range 10 {
			if !a.Send(namesFrame("old", strings.Repeat("n", i))) {
				t.Error("names refused")
			}
		}
		if !a.Send(namesFrame("new")) || !a.Send(specFrame("/data")) {
			t.Error("a full queue refuses what is said once")
		}
		var got frames
		b := NewLink(far, got.receive)
		synctest.Wait()
		seqs := got.sequences()
		if int64(len(seqs)) != sent+1 || !slices.IsSorted(seqs) {
			t.Errorf("%d envelopes arrived, want %d in order", len(seqs), sent+1)
		}
		last := got.got[len(got.got)-2:]
		if n := last[0].GetNames().GetNames(); len(got.got) != len(seqs)+2 || !slices.Equal(n, []string{"new"}) {
			t.Errorf("names %v, want the newest alone", n)
		}
		_ = a.Close()
		_ = b.Close()
	})
}

func TestLinkEndsWhenControlIsUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer func() { _ = far.Close() }()
		a := NewLink(near, func(*weirpb.Frame) {})
		a.Send(specFrame("/data"))
		synctest.Wait() // the writer hangs with it
		for i := range QueueControlMax + 1 {
			if sent := a.Send(specFrame("/data")); sent != (i < QueueControlMax) {
				t.Fatalf("frame %d: %v", i, sent)
			}
		}
		<-a.Done()
		if err := a.Err(); err == nil || !strings.Contains(err.Error(), "hangs") {
			t.Errorf("error %v", err)
		}
		_ = a.Close()
	})
}

func TestLinkRefusesLongFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer func() { _ = far.Close() }()
		a := NewLink(near, func(*weirpb.Frame) {})
		defer func() { _ = a.Close() }()
		for _, f := range []*weirpb.Frame{specFrame(strings.Repeat("x", FrameBytesMax)), specFrame("\xff")} {
			if a.Send(f) {
				t.Error("a frame that can't be sent was taken")
			}
		}
		select {
		case <-a.Done():
			t.Errorf("the link ended: %v", a.Err())
		default:
		}
	})
}

func TestLinkEndsByBadInput(t *testing.T) {
	valid := encoded(t, specFrame("/data"))
	for _, tt := range []struct {
		name  string
		input []byte
		want  error
		text  string
	}{
		{"nothing", nil, io.EOF, ""},
		{"whole frames", append(slices.Clone(valid), valid...), io.EOF, ""},
		{"no length", []byte{1, 0}, io.ErrUnexpectedEOF, "length"},
		{"cut", valid[:len(valid)-1], io.ErrUnexpectedEOF, "got 8"},
		{"zero", []byte{0, 0, 0, 0}, ErrMalformed, "length of 0"},
		{"too long", []byte{1, 0, 0, 1}, ErrMalformed, "16777217"},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), ErrMalformed, "length"},
		{"no message", []byte{2, 0, 0, 0, 0xff, 0xff}, ErrMalformed, "2 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				a := NewLink(near, func(*weirpb.Frame) {})
				if _, err := far.Write(tt.input); err != nil && !errors.Is(err, io.ErrClosedPipe) {
					t.Error(err)
				}
				_ = far.Close()
				<-a.Done()
				if err := a.Close(); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("error %v, want %v with %q", err, tt.want, tt.text)
				}
			})
		})
	}
}

func encoded(t testing.TB, f *weirpb.Frame) []byte {
	t.Helper()
	data, err := proto.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(data))), data...)
}

// TestLinkFormat compares with bytes that an older process may send.
func TestLinkFormat(t *testing.T) {
	text, err := os.ReadFile("testdata/link-1.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := []*weirpb.Frame{
		{Body: &weirpb.Frame_Hello{Hello: &weirpb.Hello{ProtocolMin: 1, ProtocolMax: 1, Version: "0.1.0", Id: "tm"}}},
		namesFrame("jobmaster/j/1", "job/j"),
		frameOf(envelope("dispatcher", 7)),
	}
	var golden []byte
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(line, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		golden = append(golden, b...)
	}
	var written []byte
	in := bytes.NewReader(golden)
	for i, w := range want {
		written = append(written, encoded(t, w)...)
		if got, err := readFrame(in); err != nil || !proto.Equal(got, w) {
			t.Errorf("frame %d: %v, %v; want %v", i, got, err, w)
		}
	}
	if !bytes.Equal(written, golden) {
		t.Errorf("frames are written as\n%x", written)
	}
}

// FuzzReadFrame: any input gives frames or an error, reads no more than it claims and never more than there is.
func FuzzReadFrame(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 0, 1})
	f.Add(encoded(f, namesFrame("a", "b")))
	f.Add(append(encoded(f, frameOf(envelope("x", 1))), encoded(f, specFrame("/d"))[:5]...))
	f.Fuzz(func(t *testing.T, input []byte) {
		in := bytes.NewReader(input)
		for {
			before := in.Len()
			got, err := readFrame(in)
			if err != nil {
				if got != nil {
					t.Fatal("a frame beside an error")
				}
				return
			}
			if in.Len() >= before {
				t.Fatal("a frame of nothing")
			}
			again, err := readFrame(bytes.NewReader(encoded(t, got)))
			if proto.Size(got) > 0 && (err != nil || !proto.Equal(again, got)) {
				t.Fatalf("frame %v comes back as %v, %v", got, again, err)
			}
		}
	})
}
