// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package operator holds the steps that jobs are made of, and their contract with the task that drives them.
//
// A constructor (Map, KeyedProcess, Source, ...) returns a Step: what the graph has to know, and how to make the operator
// of one subtask. Operators of a chain call each other directly, a batch at a time:
//
//	channel -> Port.Deliver           types are erased at the ends of a chain only
//	             Map.Process            rows in place, or into a batch of its own
//	               Output.Process         to every receiver; all but the last get the batch shared
//	                 Filter.Process
//	                   KeyedProcess.Process -> side outputs, timers, rows of state
//	                     Output.Process -> writer of a channel
//
// Watermarks, idleness and the end of input come behind batches, by the same calls. Barriers don't flow through the chain:
// the task, which knows when all inputs of a checkpoint have come, calls Barrier on each operator in order.
//
// Operators know nothing of the exchange, of checkpoints' storage or of the control plane, and they are generic over
// the contexts that user functions see: stream makes those, by the bind argument of constructors.
//
// User code runs under one deferred guard a batch. A panic or a returned error becomes a UserError of the step whose code
// it was, what a connector returns becomes a ConnectorError, and errors of the engine are passed on as they are: BlameFor
// tells them apart.
//
// Invariants: a shared batch is never changed. What user code emits during a call is sent on before the call returns, and
// before a watermark that follows. A steady stream allocates nothing.
//
// Non-obvious:
//   - The column of event times goes from the input batch to the output batch by exchange: the input holds garbage times
//     afterwards, which its owner resets.
//   - Receivers may swap the storage of the batch that they are handed, so an operator looks at its own batch anew each
//     time; it may even have come with a column of hashes.
//   - A pointer to the current key goes to a field, not to a local variable: that would be an allocation a record.
//   - The watermark that a keyed function sees is, after a restore, the later of the watermark and what the key group has
//     seen before; else a record that was late would be no longer.
//   - The row that a timer finds missing is lent as a zero one, and dropped after the call if it is zero still.
package operator
