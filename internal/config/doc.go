// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package config is the configuration of a cluster: options by key, with Flink's keys and value syntax wherever Flink has
// the option.
//
//	default < file < environment (WEIR_...) < flags and -D < what the code of a job sets itself
//
// A file is YAML, nested or with flat keys. A key that nobody knows is an error with file, line and the nearest that is
// known; one of Flink's that has no meaning here is a warning, so that a file written for Flink can be used. Each value
// remembers where it came from, for people.
//
// Options are values, not a registry: whoever loads a configuration says which options there are. Cluster lists those of
// the cluster itself; those of jobs come from the package that applies them to graphs.
package config
