// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package rest serves the HTTP API of a JobManager: version 1 of Flink's REST API, so that what was written for Flink's
// (its dashboard, its command line, deployment and monitoring tools) works here unchanged, and Weir's own additions below
// /v1/weir.
//
// The package knows no part of the cluster. It turns requests into calls of the four interfaces in cluster.go and their
// answers, messages of package weirpb, into the JSON that Flink would send:
//
//	request -> panics, limits -> Host and Origin -> token and role -> route -> handler -> Jobs, Programs, Workers, Self
//
// Invariants: no answer contains a secret; a path in an answer or request never leaves the directory that it belongs to;
// every body, list and wait is bounded; an error is {"errors": [text]} with the status that errors.go gives to its kind.
package rest
