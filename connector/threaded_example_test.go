// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package connector_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/connector/connectortest"
	"github.com/weir-stream/weir/element"
)

// Book is a split: the pages from Next on.
type Book struct {
	Title       string
	Next, Pages int
}

// SplitID derives from what is read, never from how far.
func (b Book) SplitID() string { return b.Title }

// subtask is the one that the reader belongs to.
type subtask struct {
	*connectortest.Runtime
	woken chan struct{}
}

// Wake is called when there is something to poll again.
func (s subtask) Wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// A reader that may block: fetch runs on a goroutine of its own, ahead of the task that polls. What a checkpoint gets is
// the position behind the last record that was polled, not behind the last one fetched.
func ExampleThreaded() {
	task := subtask{connectortest.NewRuntime(0, 1, 1), make(chan struct{}, 1)}
	reader := connector.Threaded(task, func(_ context.Context, s *Book, b *element.Batch[string]) error {
		if s.Next > s.Pages {
			return io.EOF // of this split
		}
		*b.Append() = fmt.Sprintf("%s, page %d", s.Title, s.Next) // a real one waits for a disk or a server here
		s.Next++
		return nil
	})
	defer func() { _ = reader.Close() }()
	if err := reader.Add([]Book{{"Emma", 1, 2}, {"Persuasion", 7, 7}}); err != nil {
		fmt.Println(err)
	}
	reader.NoMoreSplits()

	// What a task does, one record at a time.
	batch := element.NewBatch[string](1)
	for {
		batch.Reset()
		split, err := reader.Poll(batch)
		for _, page := range batch.Rows() {
			left, _ := reader.Snapshot(1)
			fmt.Println(page, left)
		}
		switch {
		case errors.Is(err, connector.ErrWait):
			<-task.woken // by the fetch
		case errors.Is(err, connector.ErrSplitEnd):
			fmt.Println("end of", split)
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			fmt.Println(err)
			return
		}
	}
	// Output:
	// Emma, page 1 [{Emma 2 2} {Persuasion 7 7}]
	// Emma, page 2 [{Emma 3 2} {Persuasion 7 7}]
	// end of Emma
	// Persuasion, page 7 [{Persuasion 8 7}]
	// end of Persuasion
}
