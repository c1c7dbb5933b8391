// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Command mute is no job program: it ends well without a word.
package main

func main() {}
