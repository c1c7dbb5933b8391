// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package flink runs SQL on a real Flink beside a benchmark, from a distribution that is on this machine:
//
//	Open --> Home --> Compile --> Start --> Session --> Run, Run ... --> Stop
//
// A Session is a JobManager and, for each Run, a fresh TaskManager, so that no query finds a heap that another left, or code
// that another warmed up. CPU time is that of the TaskManager from the submission on: its start is left out, the work
// of its compiler is not. It is read in /proc: for Linux only. Tables of other kinds than Flink's own come from factories in Java,
// whose sources are compiled against the distribution. A job that fails is not tried again: its figures would be of two, and what
// it wrote might be there twice.
//
// Non-obvious: the scripts that come with Flink are not used, for distributions of its libraries alone lack them.
package flink
