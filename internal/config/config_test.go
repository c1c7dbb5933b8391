// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSourcesInOrder(t *testing.T) {
	c := New(Cluster())
	file := "# a comment\nrest:\n  port: 9000\n  allowed-hosts: [a, b]\njobmanager.rpc.port: 7000\nheartbeat: {interval: 2 s}\n"
	if err := c.File("weir.yaml", []byte(file)); err != nil {
		t.Fatal(err)
	}
	if err := c.Environment([]string{"WEIR_JOBMANAGER_RPC_PORT=7001", "WEIR_TASKMANAGER_NUMBEROFTASKSLOTS=3", "HOME=/", "WEIR_HOME=x"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Set("-D", TaskManagerSlots, "4"); err != nil {
		t.Fatal(err)
	}
	if got := [...]int{c.Int(RESTPort), c.Int(RPCPort), c.Int(TaskManagerSlots)}; got != [...]int{9000, 7001, 4} {
		t.Errorf("got %v", got)
	}
	if got := c.Duration(Heartbeat); got != 2*time.Second {
		t.Errorf("heartbeat %v", got)
	}
	if got := c.List(RESTAllowedHosts); len(got) != 2 || got[1] != "b" {
		t.Errorf("list %q", got)
	}
	if got := c.Memory(TaskManagerMemory); got != 1<<30 {
		t.Errorf("memory %d", got)
	}
	origins := map[string]string{RESTPort: "weir.yaml:3", RPCPort: "environment WEIR_JOBMANAGER_RPC_PORT", TaskManagerSlots: "-D", DataDir: "default"}
	for _, e := range c.Entries() {
		if want, ok := origins[e.Key]; ok && e.Origin != want {
			t.Errorf("%s comes from %q, want %q", e.Key, e.Origin, want)
		}
	}
	if got := c.Of(TaskManager); len(got) != 1 || got[TaskManagerSlots] != "4" {
		t.Errorf("of the TaskManager: %v", got)
	}
}

func TestErrorsNameThePlace(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"unknown", "a: 1\nrest:\n  prot: 8081\n", `f.yaml:1: unknown option "a"`},
		{"nearest", "rest:\n  prot: 8081\n", `f.yaml:2: unknown option "rest.prot"; did you mean rest.port?`},
		{"kind", "rest.port: many\n", "f.yaml:1: option rest.port: want a number"},
		{"duration", "\nheartbeat.interval: 3 parsecs\n", "f.yaml:2: option heartbeat.interval: want a duration"},
		{"memory", "taskmanager.memory.process.size: 99999999999tb\n", "want a memory size"},
		{"choice", "log.level: loud\n", "want one of debug, info, warn, error"},
		{"no mapping", "hello\n", "f.yaml:1: want `key: value` lines"},
		{"syntax", "a: [\n", "f.yaml: "},
		{"nested list", "rest.allowed-hosts: [[a]]\n", "want a list of plain values"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := New(Cluster()).File("f.yaml", []byte(tt.file))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestFileOfFlink: what has no meaning here is a warning, and the rest counts.
func TestFileOfFlink(t *testing.T) {
	c := New(Cluster())
	file := "env:\n  java:\n    opts:\n      all: -X\njobmanager:\n  memory:\n    process:\n      size: 1600m\n  bind-host: localhost\nrest: {port: 8082}\ntaskmanager.memory.process.size: 1728m\n"
	if err := c.File("config.yaml", []byte(file)); err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 2 || !strings.Contains(c.Warnings[0], "config.yaml:4: env.java.opts.all has no meaning") {
		t.Errorf("warnings %q", c.Warnings)
	}
	if c.Int(RESTPort) != 8082 || c.Memory(TaskManagerMemory) != 1728<<20 {
		t.Error("what has a meaning was not taken")
	}
}

func TestSecretsAreHidden(t *testing.T) {
	c := New(Cluster())
	if err := c.Set("-D", RESTToken, "swordfish"); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Entries() {
		if strings.Contains(e.Value, "swordfish") {
			t.Errorf("%s is shown", e.Key)
		}
	}
	if c.String(RESTToken) != "swordfish" {
		t.Error("the value is lost")
	}
}

func TestValues(t *testing.T) {
	durations := map[string]time.Duration{
		"100": 100 * time.Millisecond, "10 s": 10 * time.Second, "1 min": time.Minute, "2h": 2 * time.Hour, "1 d": 24 * time.Hour,
		"1m30s": 90 * time.Second, "1.5s": 1500 * time.Millisecond, "5 us": 5 * time.Microsecond, "0": 0,
	}
	for text, want := range durations {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	sizes := map[string]int64{"1": 1, "64 kb": 64 << 10, "1m": 1 << 20, "2 gb": 2 << 30, "3 GiB": 3 << 30, "1t": 1 << 40}
	for text, want := range sizes {
		if got, err := ParseMemory(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "s", "-1", "1 parsec", "99999999999999999999"} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("duration %q: %v", text, d)
		}
		if n, err := ParseMemory(text); err == nil {
			t.Errorf("size %q: %v", text, n)
		}
	}
}

// TestOptionsAreSound: each default is a value of its option, and no key is there twice.
func TestOptionsAreSound(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range Cluster() {
		if seen[o.Key] || seen[VariableOf(o.Key)] {
			t.Errorf("%s is there twice", o.Key)
		}
		seen[o.Key], seen[VariableOf(o.Key)] = true, true
		if o.Default != "" {
			if err := o.check(o.Default); err != nil {
				t.Errorf("default of %s: %v", o.Key, err)
			}
		}
		if !strings.HasSuffix(o.Doc, ".") {
			t.Errorf("%s: the text is no sentence", o.Key)
		}
		if meansNothing(o.Key) && New(Cluster()).byKey[o.Key] == nil {
			t.Errorf("%s is said to mean nothing", o.Key)
		}
	}
}

func TestParsePorts(t *testing.T) {
	for text, want := range map[string][]int{
		"": nil, "9249": {9249}, "9249-9251, 9300": {9249, 9250, 9251, 9300}, "0": {0},
	} {
		if got, err := ParsePorts(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"x", "9-8", "-1", "65536", "1-2-3", "1-65535", "1-1000,2000-3000"} {
		if got, err := ParsePorts(text); err == nil {
			t.Errorf("%q was taken: %v", text, got)
		}
	}
}
