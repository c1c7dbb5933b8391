// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Command growth measures how the cost of jobs grows: with subtasks, channels, keys, windows and the size of state.
//
//	go run ./bench/growth                          all curves, some minutes
//	go run ./bench/growth -only channels           some of them
//	go run ./bench/growth -cluster                 channels between executors of a session cluster, too
//
// What is measured a record: all jobs of a curve live at once, and take turns. A round releases records to the sources of one
// and ends when its sinks have counted the results, in CPU time of the process; the others are idle meanwhile. So a
// change of the machine's load meets all points of a curve alike. The figure is the median of the rounds, and the ratio
// that to the first point.
package main
