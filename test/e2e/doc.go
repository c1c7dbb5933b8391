// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package e2e builds real programs, runs them as real processes, kills them, and compares what they leave behind with a
// plain computation over the same input.
package e2e
