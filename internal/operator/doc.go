// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package operator holds the steps that jobs are made of, and their contract with the task that drives them.
//
// Operators of a chain call each other directly, a batch at a time: Input[T].Process of the next is called from within
// Process of the one before. Types are erased at the ends of a chain only, by Port. Barriers don't flow through the
// chain: the task, which knows when all inputs of a checkpoint have come, calls Barrier on each operator in order.
//
// Operators know nothing of the exchange, of checkpoints' storage or of the control plane, and they are generic over
// the contexts that user functions see: stream makes those.
package operator
