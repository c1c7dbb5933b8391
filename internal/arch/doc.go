// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package arch holds the rules about the source tree as a whole, as tests: it has no code of its own and nobody calls
// it. The rules read the files themselves, all of them, whatever their build tags and platforms.
//
//	layers     which folder may import which: the drawing in ARCHITECTURE.md, enforced
//	pure       what the pure cores must not touch: goroutines, locks, files, sockets, random numbers
//	owner      a go statement says who stops the goroutine and waits for it
//	licence    the first line of each source file
//	length     functions and files too long to be read at once: a list of them that can only shrink
//	instances  what makes an operator is compiled where it is used, not with each type of a stream
//	modules    each dependency is explained in docs/dependencies.md
//
// Non-obvious: only files that go into a program are held to the layers. A test may import what it likes, as long as the
// compiler finds no cycle, since it is there to put parts together.
package arch
