// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package file

import (
	"log/slog"
)

// assignee takes what an enumerator assigns to one reader.
type assignee struct {
	splits []Split
	noMore bool
}

func (a *assignee) Readers() []int                { return []int{0} }
func (a *assignee) Assign(_ int, splits ...Split) { a.splits = append(a.splits, splits...) }
func (a *assignee) NoMoreSplits(int)              { a.noMore = true }
func (a *assignee) Fail(err error)                { panic(err) }
func (a *assignee) Logger() *slog.Logger          { return slog.New(slog.DiscardHandler) }
