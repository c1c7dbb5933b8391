// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package codec

import (
	"errors"
	"fmt"
)

// ErrCorrupt is wrapped by every error about bytes that no codec of the schema can have written: the frame or block is
// damaged, or belongs to another schema. Refuse it; trying again doesn't help.
var ErrCorrupt = errors.New("corrupt data")

// ErrIncompatible is wrapped by errors about rows that were written under a schema that the type can't take. Change the
// type back, give the field another name, or drop the state.
var ErrIncompatible = errors.New("incompatible schema")

var (
	errShort    = fmt.Errorf("data ends early: %w", ErrCorrupt)
	errWidth    = fmt.Errorf("integers of unknown width: %w", ErrCorrupt)
	errBlob     = fmt.Errorf("strings longer than announced: %w", ErrCorrupt)
	errChildren = fmt.Errorf("more elements than the data can hold: %w", ErrCorrupt)
)
