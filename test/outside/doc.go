// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package outside tests this module as others use it: from a module of their own, outside this tree, through its public
// packages alone. The module is below testdata; the test copies it away, names this tree as the place of the
// dependency, and runs its tests: a job, and a source and a sink that pass connectortest.
package outside
