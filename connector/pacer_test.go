// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package connector_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/connectortest"
)

// TestPacerKeepsTheRate takes rows as a reader does, and counts what a reader of two got in ten seconds.
func TestPacerKeepsTheRate(t *testing.T) {
	for _, rate := range []float64{0.5, 3, 99, 1000, 250_000, 40_000_000} {
		synctest.Test(t, func(t *testing.T) {
			rt := connectortest.NewRuntime(0, 2, 1)
			p := connector.NewPacer(rt, rate)
			start, rows, wakes := time.Now(), 0, 0
			for time.Since(start) < 10*time.Second {
				due := min(p.Due(), p.Slice(1024))
				if due == 0 {
					wakes++
					rt.Wait(t)
					continue
				}
				p.Took(due)
				rows += due
			}
			// One row, or twenty milliseconds' worth, may be out early or late.
			want, slack := rate/2*10, 1+rate/2*0.02
			if got := float64(rows); got < want-slack || got > want+slack {
				t.Errorf("rate %v: %v rows in 10 s, want %v", rate, got, want)
			}
			if wakes > 2+int(min(want, 1000)) {
				t.Errorf("rate %v: woken %d times", rate, wakes)
			}
		})
	}
}

// TestPacerShare divides the rate among fewer readers than there are.
func TestPacerShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := connectortest.NewRuntime(0, 8, 1)
		p := connector.NewPacer(rt, 1000)
		p.Share(2)
		start, rows := time.Now(), 0
		for time.Since(start) < 10*time.Second {
			if due := p.Due(); due > 0 {
				p.Took(due)
				rows += due
				continue
			}
			rt.Wait(t)
		}
		if rows < 4950 || rows > 5050 {
			t.Errorf("%d rows in 10 s, want half of 10,000", rows)
		}
	})
}

// TestPacerCatchesUpALittle stalls for a minute: what was missed is not poured out at once.
func TestPacerCatchesUpALittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connector.NewPacer(connectortest.NewRuntime(0, 1, 1), 1000)
		p.Took(p.Due())
		time.Sleep(time.Minute)
		if due := p.Due(); due < 50 || due > 200 {
			t.Errorf("%d rows due after a minute at 1000 a second, want about a tenth of a second's", due)
		}
	})
}

func TestNoRateIsNoLimit(t *testing.T) {
	p := connector.NewPacer(connectortest.NewRuntime(0, 1, 1), 0)
	p.Took(1 << 30)
	if p.Due() < 1<<30 || p.Slice(77) != 77 {
		t.Errorf("due %d, slice of 77 is %d", p.Due(), p.Slice(77))
	}
}
