// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package process starts processes of job programs and watches over them: JobMasters and descriptions for the Dispatcher,
// executors for a Worker.
//
//	parent                                       child, leader of a process group of its own
//	rpc.Link  <==== socketpair, Frames ====>     fd 3, named by WEIR_FD; WEIR_ROLE=1 says what for
//	Log, Tail <---- pipe, text ------------      stdout and stderr
//
// Either side's death is seen by the other at once: the parent waits for its child, and the child reads the end of fd 3.
// A signal that the kernel would send at the death of a parent is no way: it is bound to a thread of the parent.
//
// What a process may take of the memory is said to its runtime by GOMEMLIMIT, which is soft, and held by a cgroup where the
// parent may make some. Elsewhere, on Linux, the parent looks at the resident memory a few times a second and kills what
// is over. Either way Exit says so.
//
// When a process has ended so have all that it started and left in its group, and nothing of it is left in the parent: no
// zombie, descriptor, goroutine or cgroup. Done is closed after that.
//
// Non-obvious: the group is killed before its leader is reaped, since from then on its number can be another's. The end of
// a Go program that panics is a long list of stacks, so Tail begins at the panic. A file that was written a moment ago
// may be busy for exec, while a child that another goroutine starts has inherited its descriptor: Start tries again.
package process
