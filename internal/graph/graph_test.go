// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package graph_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/graph"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// sketch is a graph in a line a step: `name uid=.. p=.. max=.. chain=head|never <- from[:tag][/partitioning][@input], ..`.
func sketch(t *testing.T, lines ...string) *graph.StreamGraph {
	t.Helper()
	sg := &graph.StreamGraph{Name: "sketch"}
	byName := map[string]int{}
	for id, line := range lines {
		head, from, _ := strings.Cut(line, " <- ")
		words := strings.Fields(head)
		n := &graph.StreamNode{ID: id, Name: words[0], Verb: strings.TrimRight(words[0], "0123456789"), RecordType: "int"}
		for _, w := range words[1:] {
			key, value, _ := strings.Cut(w, "=")
			switch key {
			case "uid":
				n.UID = value
			case "p":
				n.Parallelism = number(value)
			case "max":
				n.MaxParallelism = number(value)
			case "chain":
				n.Chaining = map[string]graph.Chaining{"head": graph.ChainHead, "never": graph.ChainNever}[value]
			}
		}
		byName[n.Name] = id
		for f := range strings.SplitSeq(from, ", ") {
			if f == "" {
				continue
			}
			e := &graph.StreamEdge{To: id}
			f, input, ok := strings.Cut(f, "@")
			if ok {
				e.Input = number(input)
			}
			f, how, ok := strings.Cut(f, "/")
			if ok {
				for p := exchange.Forward; p <= exchange.Global; p++ {
					if strings.EqualFold(p.String(), how) {
						e.Partitioning = p
					}
				}
			}
			f, e.Tag, _ = strings.Cut(f, ":")
			e.From = byName[f]
			n.Inputs = max(n.Inputs, e.Input+1)
			sg.Edges = append(sg.Edges, e)
		}
		if n.Inputs == 0 {
			n.Source = &graph.SourceSpec{}
		}
		sg.Nodes = append(sg.Nodes, n)
	}
	return sg
}

// number reads a number of a sketch; there is no other in it.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

var sketches = map[string][]string{
	"pipeline": {"source uid=in", "map <- source", "count uid=count <- map/hash", "sink uid=out <- count"},
	"flights": {
		"flights uid=flights", "weather uid=weather", "hours uid=hours <- flights/hash",
		"join uid=join <- hours/hash@0, weather/hash@1", "hourly uid=hourly <- join",
		"worst uid=worst <- flights/hash", "ranks uid=ranks <- worst",
	},
	"union and side output": {
		"a uid=a", "b uid=b p=3", "split <- a, b", "late uid=late <- split:late", "rest <- split", "out uid=out <- rest, late",
	},
	"chaining switches": {
		"a uid=a", "head chain=head <- a", "next <- head", "alone chain=never <- next", "after <- alone",
		"wide p=7 <- after", "groups max=64 <- wide", "out uid=out p=1 <- groups/global",
	},
}

// TestPlans compares job graphs and their plans with golden files.
func TestPlans(t *testing.T) {
	for name, lines := range sketches {
		t.Run(name, func(t *testing.T) {
			sg := sketch(t, lines...)
			g, err := graph.Build(sg, graph.Options{Parallelism: 2})
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, v := range g.Vertices {
				fmt.Fprintf(&b, "%d %s [%s] parallelism %d of %d\n", v.Index, v.ID, v.Name, v.Parallelism, v.MaxParallelism)
				for _, e := range v.In {
					fmt.Fprintf(&b, "  input %d from %d%s %s\n", e.Stream.Input, e.From.Index, e.Stream.Tag, e.Stream.Partitioning)
				}
			}
			fmt.Fprintf(&b, "slots %d, regions %d\n", g.SlotsNeeded(), len(graph.Regions(g)))
			plan, err := json.MarshalIndent(graph.PlanOf(g, strings.Repeat("0", 32)), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.String()+string(plan)+"\n")
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".txt")
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run with -rewrite and read the diff):\n%s", file, got)
	}
}

// TestOperatorIDs keep to the uid whatever happens around the step, and to the place where there is none.
func TestOperatorIDs(t *testing.T) {
	ids := func(lines ...string) map[string]string {
		sg := sketch(t, lines...)
		if _, err := graph.Build(sg, graph.Options{}); err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for _, n := range sg.Nodes {
			all[n.Name] = n.OperatorID
		}
		return all
	}
	before := ids("a uid=a", "map1 <- a", "count uid=count <- map1/hash")
	after := ids("other uid=other", "a uid=a", "map1 <- a", "map2 <- map1", "count uid=count p=3 <- map2/hash, other/hash")
	for _, same := range []string{"a", "map1", "count"} {
		if before[same] != after[same] {
			t.Errorf("id of %s changed from %s to %s", same, before[same], after[same])
		}
	}
	if before["count"] != graph.OperatorIDOf("count") {
		t.Error("the id of a step with a uid is not that of the uid")
	}
	seen := map[string]string{}
	for name, id := range after {
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s have the same id", name, other)
		}
		seen[id] = name
	}
	twins := ids("a uid=a", "map1 <- a", "map2 <- a", "map3 <- a")
	if twins["map1"] == twins["map2"] || twins["map2"] == twins["map3"] {
		t.Error("steps in the same place have the same id")
	}
}

func TestBuildRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		lines []string
		want  string
	}{
		"nothing":                 {nil, "no steps"},
		"parallelism over groups": {[]string{"a uid=a p=9 max=8"}, "parallelism 9 is above its max parallelism 8"},
		"groups over the bound":   {[]string{"a uid=a max=40000"}, "above 32768"},
	} {
		if _, err := graph.Build(sketch(t, test.lines...), graph.Options{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestObjectReuseLendsToTasksThatKeepNothing looks at all edges of a job of which two steps keep text.
func TestObjectReuseLendsToTasksThatKeepNothing(t *testing.T) {
	sg := sketch(t, "a uid=a", "b uid=b", "count uid=count <- a/hash, b/hash", "map <- count", "ranks uid=ranks <- map/hash",
		"show <- a/rebalance", "keep uid=keep <- show")
	for _, n := range sg.Nodes {
		n.KeepsText = n.Name == "ranks" || n.Name == "keep"
	}
	for _, reuse := range []bool{false, true} {
		sg.ObjectReuse = reuse
		g, err := graph.Build(sg, graph.Options{Parallelism: 2})
		if err != nil {
			t.Fatal(err)
		}
		lent := map[string]bool{}
		for _, v := range g.Vertices {
			lent[v.Name] = v.Borrows()
		}
		want := map[string]bool{"a": false, "b": false, "count -> map": reuse, "ranks": false, "show -> keep": false}
		if !maps.Equal(lent, want) {
			t.Errorf("with object reuse %v, %v borrow; want %v", reuse, lent, want)
		}
	}
}

// TestKeyGroups are those of restored state, unless the job says otherwise.
func TestKeyGroups(t *testing.T) {
	for p, want := range map[int]int{1: 128, 85: 128, 86: 256, 100: 256, 20000: 32768} {
		if got := graph.DefaultMaxParallelism(p); got != want {
			t.Errorf("default for parallelism %d is %d, want %d", p, got, want)
		}
	}
	for _, test := range []struct {
		line string
		want int
	}{{"a uid=a", 512}, {"a uid=a max=64", 64}} {
		g, err := graph.Build(sketch(t, test.line), graph.Options{KeyGroups: map[string]int{graph.OperatorIDOf("a"): 512}})
		if err != nil {
			t.Fatal(err)
		}
		if got := g.Vertices[0].MaxParallelism; got != test.want {
			t.Errorf("%s: %d key groups, want %d", test.line, got, test.want)
		}
	}
}

// TestFirstDifference names the step at which two descriptions part.
func TestFirstDifference(t *testing.T) {
	describe := func(lines ...string) []string { return graph.Describe(sketch(t, lines...)) }
	one := describe("a uid=a", "map <- a", "out uid=out <- map")
	if d := graph.FirstDifference(one, describe("a uid=a", "map <- a", "out uid=out <- map")); d != "" {
		t.Errorf("equal descriptions differ: %s", d)
	}
	for _, test := range []struct{ got, want []string }{
		{describe("a uid=a", "map p=2 <- a", "out uid=out <- map"), []string{"1 map", "became"}},
		{describe("a uid=a", "map <- a"), []string{"out", "missing"}},
		{describe("a uid=a", "map <- a", "out uid=out <- map", "more <- map"), []string{"more", "new"}},
	} {
		d := graph.FirstDifference(one, test.got)
		for _, part := range test.want {
			if !strings.Contains(d, part) {
				t.Errorf("difference %q lacks %q", d, part)
			}
		}
	}
}

// TestRegions are the connected components of subtasks.
func TestRegions(t *testing.T) {
	for _, test := range []struct {
		lines []string
		want  int
	}{
		{[]string{"a uid=a p=3", "map p=3 chain=head <- a", "out uid=out p=3 <- map"}, 3},
		{[]string{"a uid=a p=3", "map <- a"}, 1},
		{[]string{"a uid=a p=3", "count uid=count p=3 <- a/hash"}, 1},
		{[]string{"a uid=a p=3", "b uid=b p=2", "m p=3 <- a", "n p=2 chain=head <- b"}, 5},
	} {
		g, err := graph.Build(sketch(t, test.lines...), graph.Options{})
		if err != nil {
			t.Fatal(err)
		}
		regions := graph.Regions(g)
		if len(regions) != test.want {
			t.Errorf("%q: %d regions %v, want %d", test.lines, len(regions), regions, test.want)
		}
		subtasks := 0
		for _, r := range regions {
			subtasks += len(r)
		}
		all := 0
		for _, v := range g.Vertices {
			all += v.Parallelism
		}
		if subtasks != all {
			t.Errorf("%q: %d subtasks in regions, want %d", test.lines, subtasks, all)
		}
	}
}
