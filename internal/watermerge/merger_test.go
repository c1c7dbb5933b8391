// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package watermerge_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/watermerge"
)

// The scripts give events as channel and what it says, each followed by what is passed on.
var scripts = []struct {
	name     string
	channels int
	script   string
}{
	{"least of all", 2, `
		0 wm 5   -> 
		1 wm 3   -> wm 3
		1 wm 9   -> wm 5
		0 wm 4   -> 
		0 wm 20  -> wm 9`},
	{"idle leaves and returns", 2, `
		0 wm 5   -> 
		1 idle   -> wm 5
		0 wm 7   -> wm 7
		1 active -> 
		0 wm 9   -> wm 9
		1 wm 8   -> 
		1 wm 9   -> 
		0 wm 12  -> 
		1 wm 11  -> wm 11`},
	{"watermark of an idle channel is dropped", 2, `
		0 wm 5   -> 
		1 idle   -> wm 5
		1 wm 30  -> 
		1 active -> 
		1 wm 30  -> 
		0 wm 40  -> wm 30`},
	{"all idle moves to the furthest", 3, `
		0 wm 5   -> 
		1 wm 9   -> 
		2 wm 7   -> wm 5
		1 idle   -> 
		2 idle   -> 
		0 idle   -> wm 9 idle
		2 active -> active
		2 wm 8   -> 
		2 wm 10  -> wm 10`},
	{"end of time needs all", 2, `
		0 wm max -> 
		1 wm 5   -> wm 5
		1 wm max -> wm max
		1 end    -> 
		0 end    -> ended`},
	{"done and idle are idle", 2, `
		0 wm 3   -> 
		1 wm 4   -> wm 3
		1 idle   -> 
		0 wm max -> wm 4 idle
		0 end    -> 
		1 active -> active
		1 wm 6   -> wm 6
		1 wm max -> wm max`},
	{"stopped input is no end of time", 2, `
		0 wm 3   -> 
		0 end    -> 
		1 wm 8   -> wm 8
		1 wm max -> 
		1 end    -> ended`},
	{"end of a slow input", 2, `
		0 wm 3   -> 
		1 wm 8   -> wm 3
		0 end    -> wm 8
		1 end    -> ended`},
	{"end while idle", 2, `
		0 idle   -> 
		1 wm 2   -> wm 2
		1 end    -> idle
		0 end    -> ended`},
	{"end of time while idle", 1, `
		0 idle   -> idle
		0 wm max -> active wm max`},
	{"idleness of a channel that is behind moves nothing", 3, `
		0 wm 50  -> 
		1 wm 10  -> 
		2 wm 5   -> wm 5
		2 idle   -> wm 10
		0 idle   -> 
		2 active -> 
		1 idle   -> 
		2 idle   -> idle`},
	{"a channel that is behind keeps the result from idleness", 2, `
		0 wm 3   -> 
		1 idle   -> wm 3
		0 wm 9   -> wm 9
		1 active -> 
		0 idle   -> 
		1 wm 4   -> 
		1 idle   -> idle`},
}

func TestScripts(t *testing.T) {
	for _, s := range scripts {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			m := watermerge.New(s.channels)
			for line := range strings.Lines(strings.TrimSpace(s.script)) {
				event, want, _ := strings.Cut(strings.TrimSpace(line), "->")
				if got := format(apply(t, m, event)); got != strings.TrimSpace(want) {
					t.Fatalf("%s: got %q, want %q", strings.TrimSpace(event), got, strings.TrimSpace(want))
				}
			}
		})
	}
}

func apply(t *testing.T, m *watermerge.Merger, event string) watermerge.Change {
	t.Helper()
	var ch int
	var verb, at string
	if n, err := fmt.Sscan(event, &ch, &verb, &at); n < 2 {
		t.Fatalf("event %q: %v", event, err)
	}
	switch verb {
	case "wm":
		w := int64(element.MaxWatermark)
		if at != "max" {
			if _, err := fmt.Sscan(at, &w); err != nil {
				t.Fatal(err)
			}
		}
		return m.Watermark(ch, w)
	case "idle", "active":
		return m.Status(ch, verb == "idle")
	case "end":
		return m.End(ch)
	}
	t.Fatalf("event %q", event)
	return watermerge.Change{}
}

func format(c watermerge.Change) string {
	var s []string
	if c.Active {
		s = append(s, "active")
	}
	if c.Advanced && c.Watermark == element.MaxWatermark {
		s = append(s, "wm max")
	} else if c.Advanced {
		s = append(s, fmt.Sprint("wm ", c.Watermark))
	}
	if c.Idle {
		s = append(s, "idle")
	}
	if c.Ended {
		s = append(s, "ended")
	}
	return strings.Join(s, " ")
}

// plain is the reference: it keeps what each channel said and works out everything anew after each event.
type plain struct {
	at    []int64
	state []string // live, behind, idle, done, ended, over (ended after the end of time)
	out   int64
	idle  bool
}

func (p *plain) count(states ...string) (n int) {
	for _, s := range p.state {
		for _, want := range states {
			if s == want {
				n++
			}
		}
	}
	return n
}

func (p *plain) event(ch int, verb string, at int64) watermerge.Change {
	before, was := p.state[ch], p.at[ch]
	open := before == "live" || before == "behind"
	switch {
	case verb == "end" && before == "done":
		p.state[ch] = "over"
	case verb == "end" && before != "over":
		p.state[ch] = "ended"
	case before == "done" || before == "ended" || before == "over":
		return watermerge.Change{}
	case verb == "wm" && at == element.MaxWatermark:
		p.state[ch] = "done"
	case verb == "wm" && open && at > was:
		p.at[ch] = at
	case verb == "idle" && open:
		p.state[ch] = "idle"
	case verb == "active" && before == "idle":
		p.state[ch] = "behind"
	default:
		return watermerge.Change{}
	}
	if p.state[ch] == "behind" && p.at[ch] >= p.out {
		p.state[ch] = "live"
	}
	left := before == "live" && p.state[ch] != "live" && was == p.out

	var c watermerge.Change
	target, idle := p.out, false
	switch n := len(p.state); {
	case p.count("live") > 0:
		target = element.MaxWatermark
		for i, s := range p.state {
			if s == "live" {
				target = min(target, p.at[i])
			}
		}
	case p.count("done", "over") == n:
		target = element.MaxWatermark
	case p.count("behind") == 0 && p.count("idle") > 0:
		idle = true
		for i, s := range p.state {
			if left && (s == "idle" || s == "ended") {
				target = max(target, p.at[i])
			}
		}
	}
	if target > p.out {
		c.Advanced, c.Watermark, p.out = true, target, target
	}
	c.Ended = p.count("ended", "over") == len(p.state)
	if c.Ended && p.idle {
		return c // the end says more than a status
	}
	c.Idle, c.Active = idle && !p.idle, !idle && p.idle
	p.idle = idle
	return c
}

func TestAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "channels")
		m := watermerge.New(n)
		p := &plain{out: element.MinWatermark}
		for range n {
			p.at, p.state = append(p.at, element.MinWatermark), append(p.state, "live")
		}
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			ch := rapid.IntRange(0, n-1).Draw(t, "channel")
			verb := rapid.SampledFrom([]string{"wm", "wm", "wm", "wm", "idle", "active", "max", "end"}).Draw(t, "verb")
			at := int64(rapid.IntRange(0, 20).Draw(t, "at"))
			if verb == "max" {
				verb, at = "wm", element.MaxWatermark
			}
			if s := p.state[ch]; s == "ended" || s == "over" {
				continue
			}
			var got watermerge.Change
			switch verb {
			case "wm":
				got = m.Watermark(ch, at)
			case "idle", "active":
				got = m.Status(ch, verb == "idle")
			case "end":
				got = m.End(ch)
			}
			if want := p.event(ch, verb, at); got != want {
				t.Fatalf("%d %s %d: got %q, want %q", ch, verb, at, format(got), format(want))
			}
			if m.At() != p.out || m.Idle() != p.idle {
				t.Fatalf("at %d idle %v, want %d %v", m.At(), m.Idle(), p.out, p.idle)
			}
			if h := m.Holder(); (h >= 0) != (p.count("live") > 0) || h >= 0 && p.at[h] != p.out {
				t.Fatalf("holder %d of %v", h, p.at)
			}
		}
	})
}
