// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package operator

import "fmt"

// ledger is what a source knows of its splits: the ids of those that are not finished.
type ledger map[string]bool

func (l ledger) add(id string) error {
	if l[id] {
		return fmt.Errorf("split %q was assigned twice", id)
	}
	l[id] = true
	return nil
}

func (l ledger) finish(id string) error {
	if !l[id] {
		return fmt.Errorf("end of split %q, which the reader does not hold", id)
	}
	delete(l, id)
	return nil
}
