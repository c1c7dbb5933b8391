// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
)

const tcp = 2 // in transports

// expectLost waits for the loss of a producer, whose error has all of these words.
func expectLost(t *testing.T, k *taker, words ...string) {
	t.Helper()
	for {
		e := k.take()
		k.Release(e)
		if e.Err == nil {
			continue
		}
		if !errors.Is(e.Err, ErrLost) {
			t.Fatalf("gate says %v", e.Err)
		}
		for _, w := range words {
			if !strings.Contains(e.Err.Error(), w) {
				t.Fatalf("gate says %v, without %q", e.Err, w)
			}
		}
		return
	}
}

func TestHandshakeRefuses(t *testing.T) {
	up, _ := transports[tcp].open(t, Config{})
	tests := []struct {
		name string
		c    Config
		say  string
	}{
		{"another job", Config{Job: "other"}, `job "other", want "job"`},
		{"another credit", Config{Job: "job", Credits: 3}, "3 credits a channel, want 4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.c.Network, tt.c.Listen = "tcp", "127.0.0.1:0"
			down, err := NewEnvironment(tt.c)
			must(t, err)
			defer func() { must(t, down.Close()) }()
			k := newTaker(t, 1)
			k.connect(t, down, up, 0, PartitionID{})
			expectLost(t, k, tt.say)
		})
	}
	t.Run("another version", func(t *testing.T) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(up.Address(), "tcp:"))
		must(t, err)
		defer closeAll(t, conn)
		_, err = conn.Write(hello{version: 99, credits: Credits, job: "job"}.bytes())
		must(t, err)
		h, err := readHello(conn)
		must(t, err)
		if h.version != wireVersion || h.refusal != "protocol version 99, want 2" {
			t.Fatalf("answer %+v", h)
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Fatalf("connection is open: %v", err)
		}
	})
}

func TestOtherSchemaIsRefused(t *testing.T) {
	up, down := transports[tcp].open(t, Config{})
	partition(t, up, PartitionID{Attempt: 5}, 1)
	c, err := codec.For[bid]()
	must(t, err)
	k := newTaker(t, 1)
	must(t, down.Connect(k.Gate, 0, Source{ID: PartitionID{Attempt: 5}, Address: up.Address()}, SerdeOf(c, codec.Owned)))
	expectLost(t, k, "partition 5/0 has records of schema")
}

func TestUnreachableProducerIsLost(t *testing.T) {
	_, down := transports[tcp].open(t, Config{})
	gone, _ := transports[tcp].open(t, Config{})
	must(t, gone.Close())
	k := newTaker(t, 1)
	k.connect(t, down, gone, 0, PartitionID{Attempt: 5})
	expectLost(t, k, "partition 5/0", gone.Address())

	// The next one tries again.
	k = newTaker(t, 1)
	k.connect(t, down, gone, 0, PartitionID{Attempt: 5})
	expectLost(t, k)
}

// TestBrokenConnectionFailsItsChannels breaks the connection of one consumer: what it carried fails on both sides, what
// other connections carry goes on.
func TestBrokenConnectionFailsItsChannels(t *testing.T) {
	for _, tr := range transports[tcp:] {
		t.Run(tr.name, func(t *testing.T) {
			up, down := tr.open(t, Config{})
			other, _ := tr.open(t, Config{})
			p := partition(t, up, PartitionID{}, 3)
			var takers []*taker
			for i, e := range []*Environment{down, down, other} {
				k := newTaker(t, 1)
				k.connect(t, e, up, i, PartitionID{})
				takers = append(takers, k)
				must(t, p.Senders()[i].Send(batch(0, 0, 1), none))
				k.Release(k.take())
			}
			ended := newTaker(t, 1)
			q := partition(t, up, PartitionID{Attempt: 1}, 1)
			ended.connect(t, down, up, 0, PartitionID{Attempt: 1})
			must(t, q.Senders()[0].Send(nil, end))
			for ended.take().Control != end {
			}

			down.network.mu.Lock()
			for conn := range down.network.mu.conns {
				must(t, conn.Close())
			}
			down.network.mu.Unlock()
			expectLost(t, takers[0], "was closed", up.Address())
			expectLost(t, takers[1])
			for i, s := range p.Senders() {
				var err error
				for n := int64(0); err == nil && n < 100; n++ {
					err = s.Send(batch(0, n, 1), none)
					if i == 2 {
						takers[2].Release(takers[2].take())
					}
				}
				if lost := errors.Is(err, ErrLost); lost != (i < 2) {
					t.Errorf("channel %d: %v", i, err)
				}
			}
			if e, ok := ended.Next(); ok {
				t.Errorf("channel that had ended got %+v", e)
			}
		})
	}
}

func TestUnmarshalableRecordsFailTheirChannelOnly(t *testing.T) {
	up, down := transports[tcp].open(t, Config{})
	c, err := codec.For[fragile]()
	must(t, err)
	p, err := up.CreatePartition(PartitionID{}, 2, SerdeOf(c, codec.Owned))
	must(t, err)
	var takers []*taker
	for i := range 2 {
		k := newTaker(t, 1)
		must(t, down.Connect(k.Gate, 0, Source{Subpartition: i, Address: up.Address()}, SerdeOf(c, codec.Owned)))
		takers = append(takers, k)
	}
	b := element.NewBatch[fragile](1)
	b.Append().broken = true
	must(t, p.Senders()[0].Send(b, none))
	expectLost(t, takers[0], "producer of partition 0/0", "fragile broke")
	if err := p.Senders()[0].Send(nil, watermark(1)); err == nil || !strings.Contains(err.Error(), "fragile broke") {
		t.Fatalf("producer's next send returned %v", err)
	}
	must(t, p.Senders()[1].Send(nil, watermark(1)))
	if e := takers[1].take(); e.Control != watermark(1) {
		t.Fatalf("got %+v", e)
	}
}

// fragile is a record with a method of the user's that fails.
type fragile struct{ broken bool }

func (f fragile) MarshalBinary() ([]byte, error) {
	if f.broken {
		return nil, errors.New("fragile broke")
	}
	return nil, nil
}

func (f *fragile) UnmarshalBinary([]byte) error { return nil }

// TestHostilePeers sends a producer and a consumer what no peer of ours does: the connection ends, nothing else does.
func TestHostilePeers(t *testing.T) {
	up, down := transports[tcp].open(t, Config{})
	valid := subscribe{PartitionID{}, 0, serde(t).Fingerprint()}.append(nil)
	open := header{length: subscribeBytes, stream: 1, kind: frameSubscribe}.append(nil)
	open = append(open, valid...)
	tests := []struct {
		name   string
		frames []byte
	}{
		{"kind", header{kind: 77}.append(nil)},
		{"length", header{kind: frameData, length: 1 << 31}.append(nil)},
		{"data to a producer", header{kind: frameData}.append(nil)},
		{"short subscription", append(header{length: 3, stream: 1, kind: frameSubscribe}.append(nil), 1, 2, 3)},
		{"stream twice", append(open, open...)},
		{"credit unspent", append(open, header{stream: 1, kind: frameCredit, sequence: 9}.append(nil)...)},
	}
	p := partition(t, up, PartitionID{Attempt: 1}, 1)
	k := newTaker(t, 1)
	k.connect(t, down, up, 0, PartitionID{Attempt: 1})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			partition(t, up, PartitionID{}, 1)
			defer up.registry.unknow(PartitionID{})
			conn, err := net.Dial("tcp", strings.TrimPrefix(up.Address(), "tcp:"))
			must(t, err)
			defer closeAll(t, conn)
			must(t, up.network.greet(conn))
			_, err = conn.Write(tt.frames)
			must(t, err)
			if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, net.ErrClosed) {
				t.Logf("connection ended by %v", err)
			}
			must(t, p.Senders()[0].Send(batch(0, 1, 1), none))
			k.Release(k.take())
		})
	}
}

// TestHostileProducer serves a consumer frames that don't belong on a connection.
func TestHostileProducer(t *testing.T) {
	batchBytes, err := serde(t).Append(nil, batch(0, 0, 1))
	must(t, err)
	data := func(sequence uint32) []byte {
		h := header{length: uint32(len(batchBytes)), stream: 1, kind: frameData, sequence: sequence}
		return append(h.append(nil), batchBytes...)
	}
	tests := []struct {
		name   string
		frames []byte
		say    string
	}{
		{"no credit", append(append(append(append(data(1), data(2)...), data(3)...), data(4)...), data(5)...), "without credit"},
		{"sequence", data(2), "frame 2 on stream 1, want 1"},
		{"unknown stream", header{stream: 9, kind: frameData}.append(nil), "stream 9"},
		{"wrong way", header{stream: 1, kind: frameCredit}.append(nil), "kind 2"},
		{"control", append(header{length: 1, stream: 1, kind: frameControl, sequence: 1}.append(nil), 1), "control of 1 bytes"},
		{"garbage", append(header{length: 2, stream: 1, kind: frameData, sequence: 1}.append(nil), 1, 2), "corrupt"},
		{"end of file", nil, "was closed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, down := transports[tcp].open(t, Config{})
			l, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err)
			var wg sync.WaitGroup
			defer wg.Wait()
			defer closeAll(t, l)
			wg.Go(func() {
				conn, err := l.Accept()
				if err != nil {
					t.Error(err)
					return
				}
				defer closeAll(t, conn)
				if err := down.network.answer(conn); err != nil {
					t.Error(err)
				}
				if _, err := io.ReadFull(conn, make([]byte, headerBytes+subscribeBytes)); err != nil {
					t.Error(err)
				}
				if _, err := conn.Write(tt.frames); err != nil {
					t.Error(err)
				}
				if tt.frames != nil {
					_, _ = io.Copy(io.Discard, conn)
				}
			})
			k := newTaker(t, 1)
			must(t, down.Connect(k.Gate, 0, Source{Address: "tcp:" + l.Addr().String()}, serde(t)))
			for {
				e := k.take()
				if e.Err != nil {
					if !errors.Is(e.Err, ErrLost) || !strings.Contains(e.Err.Error(), tt.say) {
						t.Fatalf("gate says %v, want %q", e.Err, tt.say)
					}
					break
				}
			}
			must(t, down.Close()) // a fault of one stream leaves the connection open
		})
	}
}

func TestSilentPeerIsGivenUp(t *testing.T) {
	_, down := transports[tcp].open(t, Config{DialTimeout: 20 * time.Millisecond})
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, by its backlog, and says nothing
	must(t, err)
	defer closeAll(t, l)
	k := newTaker(t, 1)
	must(t, down.Connect(k.Gate, 0, Source{Address: "tcp:" + l.Addr().String()}, serde(t)))
	expectLost(t, k, "greeting", "timeout")
}

func TestConfigIsValidated(t *testing.T) {
	for _, c := range []Config{
		{Network: "carrier pigeon"},
		{Network: "tcp"},
		{Credits: -1},
		{Credits: CreditsMax + 1},
		{Job: strings.Repeat("j", jobBytesMax+1)},
		{PartitionTimeout: -1},
		{Network: "tcp", Listen: "256.0.0.1:0"},
	} {
		if e, err := NewEnvironment(c); err == nil {
			t.Errorf("%+v was taken", c)
			must(t, e.Close())
		}
	}
	e, err := NewEnvironment(Config{})
	must(t, err)
	k := newTaker(t, 1)
	if err := e.Connect(k.Gate, 0, Source{Address: "tcp:127.0.0.1:1"}, serde(t)); !errors.Is(err, ErrLost) {
		t.Errorf("an environment without network connects: %v", err)
	}
	if err := e.Connect(k.Gate, 1, Source{}, nil); err == nil {
		t.Error("a channel that the gate doesn't have is connected")
	}
	must(t, e.Close())
	if _, err := e.CreatePartition(PartitionID{}, 1, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed environment made a partition: %v", err)
	}
	_, down := transports[tcp].open(t, Config{})
	if err := down.Connect(k.Gate, 0, Source{Address: "nowhere"}, serde(t)); err == nil {
		t.Error("an address without a network is taken")
	}
}

func TestBytesAreCounted(t *testing.T) {
	up, down := transports[tcp].open(t, Config{})
	k := newTaker(t, 1)
	k.connect(t, down, up, 0, PartitionID{})
	s := partition(t, up, PartitionID{}, 1).Senders()[0]
	must(t, s.Send(batch(0, 0, 500), none))
	k.Release(k.take())
	if read, _ := down.Bytes(); read < 500 {
		t.Errorf("%d bytes read", read)
	}
	must(t, s.Send(nil, watermark(1)))
	k.take() // by now the first write is counted
	if _, written := up.Bytes(); written < 500 {
		t.Errorf("%d bytes written", written)
	}
	same, _ := transports[0].open(t, Config{})
	if read, written := same.Bytes(); read+written != 0 {
		t.Errorf("%d bytes without a socket", read+written)
	}
}
