// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Command crash is a program that does not come as far as weir.Main.
package main

func main() { panic("no configuration at all") }
