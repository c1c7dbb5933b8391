// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package connectortest is the suite that every source and every sink passes, ours and others'.
//
//	func TestSource(t *testing.T) {
//		connectortest.Source(t, connectortest.SourceConfig[Row, Split, Progress]{New: ..., Want: ...})
//	}
//
// It plays the engine: JobMaster and tasks take turns on one goroutine, checkpoints are stored and read back, readers,
// writers, enumerators and committers die between any two steps. Each scenario runs in a bubble of testing/synctest, so
// waiting takes no time, a lost wake-up is a failure and not a hang, and a goroutine that Close leaves behind fails the
// test. What the connector talks to may run inside or outside the bubble, but channels must not cross its edge.
//
// Non-obvious: what is stored goes through the codec of checkpoints and back. A field that is tagged to be left out of
// it comes back empty, and a connector that needs it fails here.
package connectortest
