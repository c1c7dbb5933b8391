// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package graph

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// OperatorIDOf is the id of a step with that uid: what finds its state in a checkpoint.
func OperatorIDOf(uid string) string { return digest("uid", uid) }

// assignOperatorIDs derives the ids of all steps. A step with a uid has one that survives any change of the graph; one
// without has an id of its verb and of the steps that feed it, numbered among its like.
func assignOperatorIDs(sg *StreamGraph) {
	in := make([][]*StreamEdge, len(sg.Nodes))
	for _, e := range sg.Edges {
		in[e.To] = append(in[e.To], e)
	}
	seen := map[string]int{}
	for _, n := range sg.Nodes {
		if n.UID != "" {
			n.OperatorID = OperatorIDOf(n.UID)
			continue
		}
		parts := []string{"step", n.Verb}
		for _, e := range in[n.ID] {
			parts = append(parts, sg.Nodes[e.From].OperatorID, e.Tag)
		}
		place := strings.Join(parts, "\x00")
		parts = append(parts, strconv.Itoa(seen[place]))
		seen[place]++
		n.OperatorID = digest(parts...)
	}
}

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// Describe lists what must be the same in each role that describes the job, one line a step in the order of build.
func Describe(sg *StreamGraph) []string {
	in := make([][]string, len(sg.Nodes))
	for _, e := range sg.Edges {
		in[e.To] = append(in[e.To], fmt.Sprintf("%d%s>%d/%s", e.From, e.Tag, e.Input, e.Partitioning))
	}
	lines := make([]string, len(sg.Nodes))
	for i, n := range sg.Nodes {
		lines[i] = fmt.Sprintf("%d %s uid=%q name=%q records=%s parallelism=%d/%d chaining=%d in=[%s] states=[%s]",
			n.ID, n.Verb, n.UID, n.Name, n.RecordType, n.Parallelism, n.MaxParallelism, n.Chaining,
			strings.Join(in[n.ID], " "), describeStates(n))
	}
	return lines
}

func describeStates(n *StreamNode) string {
	states := make([]string, len(n.States))
	for i, s := range n.States {
		states[i] = fmt.Sprintf("%s/%d/%x", s.Name, s.Kind, sha256.Sum256(s.Schema))
	}
	return strings.Join(states, " ")
}

// FirstDifference names the first step at which two descriptions part, or is empty where they agree: what to tell the
// author of a build function that describes another graph each time.
func FirstDifference(want, got []string) string {
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("step %s is missing", want[i])
		case i >= len(want):
			return fmt.Sprintf("step %s is new", got[i])
		case want[i] != got[i]:
			return fmt.Sprintf("step %s became %s", want[i], got[i])
		}
	}
	return ""
}

func fingerprint(lines []string) uint64 {
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return binary.LittleEndian.Uint64(sum[:])
}
