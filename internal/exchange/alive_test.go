// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// cable is one end of a connection in memory that passes for one by TCP. Once it is cut, nothing arrives any more, and neither
// end is told.
type cable struct {
	net.Conn
	cut *atomic.Bool
}

func (cable) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (cable) RemoteAddr() net.Addr { return &net.TCPAddr{} }

func (c cable) Write(p []byte) (int, error) {
	if c.cut.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// Close tells the other end only while the cable is whole.
func (c cable) Close() error {
	if c.cut.Load() {
		return nil
	}
	return c.Conn.Close()
}

// TestCutConnectionIsFound leaves a connection idle for an hour, then cuts it: both ends give it up within the time that they
// may hear nothing.
func TestCutConnectionIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, other := net.Pipe()
		defer closeAll(t, one, other)
		var cut atomic.Bool
		producer, consumer := &network{config: Config{Job: "job"}.withDefaults()}, &network{config: Config{Job: "job"}.withDefaults()}
		producer.registry = newRegistry(time.Minute)
		out, in := newOutConn(producer, cable{one, &cut}), newInConn(consumer, "tcp:there")
		ended := make(chan string, 2)
		go func() {
			out.serve()
			ended <- "producer"
		}()
		must(t, consumer.greet(cable{other, &cut}))
		go func() {
			err := in.serve(cable{other, &cut})
			if err == nil || !strings.Contains(err.Error(), "nothing came for 5s") {
				t.Errorf("the consumer gives up: %v", err)
			}
			ended <- "consumer"
		}()
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(ended) > 0 {
			t.Fatalf("%s has given up an idle connection", <-ended)
		}
		cut.Store(true)
		start := time.Now()
		<-ended
		<-ended
		if passed := time.Since(start); passed > silenceMax {
			t.Errorf("that the connection is cut was found after %v", passed)
		}
	})
}

// TestPauseOfTheOwnProcess reads after the deadline has long passed, as a process does that was stopped meanwhile: what came
// next counts.
func TestPauseOfTheOwnProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, other := net.Pipe()
		defer closeAll(t, one, other)
		go func() {
			time.Sleep(4 * time.Second) // the first half is over
			_, err := other.Write([]byte("x"))
			should(t, err)
		}()
		var p [1]byte
		if n, err := (aliveReader{one}).Read(p[:]); n != 1 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}
