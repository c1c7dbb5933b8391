// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package cluster runs real clusters: the weir binary and job programs as processes, in a directory and on ports of their
// own. It types the commands that people type, kills, stops and cuts off what it has started, and compares what jobs leave
// behind with plain computations. At its end no process, socket or port of a cluster may be left.
//
//	go test ./test/cluster                                      a few minutes, twenty faults among them
//	go test ./test/cluster -run Chaos -chaos.seed 7             with the faults of that seed
//	go test ./test/cluster -run Chaos -chaos.duration 10m -timeout 20m
//
// Processes are found by /proc, so all of it runs on Linux only.
package cluster
