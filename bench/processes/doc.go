// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package processes starts clusters of real processes for benchmarks, and looks at their processes from outside, in /proc:
// so what it says of them is for Linux only.
//
//	Build --> weir, a job's program --> Start --> Cluster --> Upload, REST --> Stop
//	                                                 +-- Tree --> CPU, Spent, MemoryOf
package processes
