// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

// Package invariants checks what must always hold. Checks and the mangling of memory that is given back are on in test
// builds (-tags invariants) and compiled away elsewhere. A check that fails panics: the task fails, never the process.
package invariants
