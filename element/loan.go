// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package element

// Loan is the memory that strings of the records at hand may lie in: that of the frame in which the batch came that a task
// is handling. What records hold of it is copied before they go to another task. There is one for each task, which belongs
// to its goroutine. The nil Loan lends nothing.
type Loan struct{ frame *Frame }

// Begin lends the frame, which may be nil, until End; the caller's hold on it goes over.
func (l *Loan) Begin(f *Frame) { l.frame = f }

// End takes the memory back, if any is lent.
func (l *Loan) End() {
	if l.frame != nil {
		l.frame.Release()
		l.frame = nil
	}
}

// Memory is what is lent now, or nil.
func (l *Loan) Memory() []byte {
	if l == nil || l.frame == nil {
		return nil
	}
	return l.frame.data
}
