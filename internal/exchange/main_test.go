// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/weir-stream/weir/element"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// event is a record of the tests: who sent it and which one it is.
type event struct {
	From int32
	N    int64
	Name string
}

// transport is a way from one environment to another.
type transport struct {
	name    string
	network string
	// apart puts producers and consumers into environments of their own.
	apart bool
}

var transports = []transport{
	{"same", "local", false},
	{"hub", "local", true},
	{"tcp", "tcp", true},
	{"unix", "unix", true},
	{"one host", "both", true},
	{"two hosts", "both", true},
}

// wired is a test with an environment of producers and one of consumers, which may be the same.
type wired struct {
	*testing.T
	up, down *Environment
}

// everyTransport runs a test over all transports.
func everyTransport(t *testing.T, test func(wired)) {
	t.Helper()
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			up, down := tr.open(t, Config{})
			test(wired{t, up, down})
		})
	}
}

// open makes the environments of producers and of consumers, which the end of the test closes.
func (tr transport) open(t testing.TB, c Config) (up, down *Environment) {
	t.Helper()
	c.Network, c.Job = tr.network, "job"
	if tr.network == "local" {
		c.Hub = &Hub{}
	}
	one := func(name string) *Environment {
		switch tr.network {
		case "tcp":
			c.Listen = "127.0.0.1:0"
		case "unix":
			c.Listen = filepath.Join(t.TempDir(), name)
		case "both":
			c.Listen, c.Socket, c.HostID = "127.0.0.1:0", filepath.Join(t.TempDir(), "s"), "host"
			if tr.name == "two hosts" {
				c.HostID = name
			}
		}
		e, err := NewEnvironment(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
		return e
	}
	up = one("up")
	if !tr.apart {
		return up, up
	}
	return up, one("down")
}

// taker is a consuming task: it waits where a gate doesn't.
type taker struct {
	*Gate
	wake chan struct{}
}

func newTaker(t testing.TB, channels int) *taker {
	t.Helper()
	k := &taker{wake: make(chan struct{}, 1)}
	k.Gate = NewGate(make([]int, channels), func() {
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}, GateOptions{})
	t.Cleanup(k.Close)
	return k
}

// take waits for the next event.
func (k *taker) take() Event {
	for {
		if e, ok := k.Next(); ok {
			return e
		}
		<-k.wake
	}
}

// connect attaches channel i of the gate to a subpartition of partition i.
func (k *taker) connect(t testing.TB, down, up *Environment, subpartition int, ids ...PartitionID) {
	t.Helper()
	for i, id := range ids {
		src := Source{ID: id, Subpartition: subpartition, Address: up.Address()}
		if err := down.Connect(k.Gate, i, src, serde(t)); err != nil {
			t.Fatal(err)
		}
	}
}

func partition(t testing.TB, e *Environment, id PartitionID, consumers int) *Partition {
	t.Helper()
	p, err := e.CreatePartition(id, consumers, serde(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// batch makes a batch of records first, first+1, ...
func batch(from int32, first int64, n int) *element.Batch[event] {
	b := element.NewBatch[event](n)
	for i := range int64(n) {
		*b.AppendNanos(first + i) = event{from, first + i, fmt.Sprint("record ", first+i)}
	}
	return b
}

func watermark(at int64) element.Control { return element.Control{Kind: element.Watermark, At: at} }

func barrier(id int64) element.Control {
	return element.Control{Kind: element.Barrier, Checkpoint: element.CheckpointBarrier{ID: id, Flags: element.Terminal}}
}

var (
	none = element.Control{}
	end  = element.Control{Kind: element.EndOfInput}
)

// failer is a test, or one try of a property.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Fatal(args ...any)
}

func must(t failer, err error) {
	if err != nil {
		t.Helper() // it walks the stack, which is too slow for the good path of a benchmark
		t.Fatal(err)
	}
}

// unknow releases a partition and makes its name free again.
func (r *registry) unknow(id PartitionID) {
	if p := r.lookup(id); p != nil {
		p.Release()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mu.past, id)
}

// should is must for other goroutines than the test's.
func should(t failer, err error) {
	if err != nil {
		t.Helper()
		t.Errorf("%v", err)
	}
}

// closeAll closes what a test has opened; the other side may have been faster.
func closeAll(t failer, closers ...io.Closer) {
	t.Helper()
	for _, c := range closers {
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("close: %v", err)
		}
	}
}
