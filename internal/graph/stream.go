// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package graph

import (
	"context"

	"github.com/weir-stream/weir/connector"
	"github.com/weir-stream/weir/element"
	"github.com/weir-stream/weir/internal/codec"
	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/operator"
	"github.com/weir-stream/weir/internal/statebackend"
)

// StreamGraph is a job as its program describes it: one node a step, one edge a stream between steps.
type StreamGraph struct {
	Name string
	// Nodes are in the order in which build made them; a node's ID is its index. Edges go from lower to higher IDs.
	Nodes []*StreamNode
	Edges []*StreamEdge
	// Parallelism and MaxParallelism are the defaults of nodes that set none; zero leaves them to the cluster.
	Parallelism, MaxParallelism int
	Checkpoints                 Checkpoints
	Restart                     Restart
	// ObjectReuse lets strings of records that come from another process lie in the frame that they came in: they are
	// good during the call only.
	ObjectReuse bool
	// Flags are the arguments that build read, for --help and the record of the submission.
	Flags []Flag
}

// StreamNode is one step.
type StreamNode struct {
	ID int
	// UID is set on every stateful step, source and sink, and unique in the job.
	UID string
	// OperatorID finds the state of the step: Build derives it from the uid or, where there is none, from the place.
	OperatorID string
	// Name is shown in plans; Verb is the method that made the step.
	Name, Verb string
	// Parallelism and MaxParallelism are zero where the job's default holds.
	Parallelism, MaxParallelism int
	Chaining                    Chaining
	// Inputs is the number of inputs of the operator; zero makes it a source.
	Inputs int
	// New makes the operator of one subtask.
	New func() operator.Operator
	// States are the pieces of state that the operator has.
	States []statebackend.Spec
	// KeepsText says that state of the operator can hold strings of its input.
	KeepsText bool
	// Source is set on sources and Sink on sinks: their parts on the JobMaster.
	Source *SourceSpec
	Sink   *SinkSpec
	// RecordType is the type of the records on the main output, for plans.
	RecordType string
}

// Chaining says whether a step may share a task with its neighbours.
type Chaining uint8

const (
	// ChainAlways joins the step to the one before where the edge allows it.
	ChainAlways Chaining = iota
	// ChainHead starts a new chain at the step.
	ChainHead
	// ChainNever keeps the step alone.
	ChainNever
)

// StreamEdge is one stream from a step to an input of another.
type StreamEdge struct {
	From, To int
	// Tag is the side output that the edge reads; empty for the main output.
	Tag string
	// Input is that of the operator at To.
	Input        int
	Partitioning exchange.Partitioning
	// NewOutput makes the writer of one producing subtask, and Serde the codec of a channel between processes: they know
	// the record type.
	NewOutput func(OutputConfig) (exchange.Output, operator.Port)
	Serde     func(codec.Strings) exchange.Serde
}

// OutputConfig is what a writer is made of, besides its type.
type OutputConfig struct {
	Senders []exchange.Sender
	// Subtask is that of the producer.
	Subtask int
	// Partitioning is that of the edge after parallelism was settled.
	Partitioning exchange.Partitioning
	// KeyGroups is the max parallelism of the consumer.
	KeyGroups int
	// RowsMax bounds the rows of a batch; zero leaves it to the type.
	RowsMax int
	// Before, if set, is called before records go to a consumer because a batch of them is full.
	Before func(consumer int) error
	// Loan is that of the producing task; nil where nothing is lent to it.
	Loan *element.Loan
}

// SourceSpec is the part of a source that lives on the JobMaster.
type SourceSpec struct {
	Bounded bool
	// NewEnumerator restores from an encoded state, or starts afresh where restored is nil.
	NewEnumerator func(ctx context.Context, rt EnumeratorRuntime, restored []byte) (Enumerator, error)
}

// What a source and a sink have on the JobMaster is made by their operators, which know the types.
type (
	// EnumeratorRuntime is what an enumerator is made with.
	EnumeratorRuntime = operator.EnumeratorRuntime
	// Enumerator finds the splits of a source and assigns them.
	Enumerator = operator.Enumerator
	// Committer makes the prepared output of a sink visible.
	Committer = operator.Committer
)

// SinkSpec is the part of a sink that lives on the JobMaster.
type SinkSpec struct {
	// NewCommitter returns nil where the sink commits nothing.
	NewCommitter func(ctx context.Context) (Committer, error)
	// Probe refuses a run that begins and whose results would mix with those of another; nil where the sink has no such
	// check.
	Probe func(ctx context.Context, run connector.NewRun) error
	// Withdraw takes back what Probe claimed for a run that does not start; nil where Probe is.
	Withdraw func(ctx context.Context, jobID string) error
	// Reach tells whether this process sees what Probe prepared; nil where the sink has no such check.
	Reach func(ctx context.Context, jobID, by string) error
}

// Flag is an argument that build read.
type Flag struct {
	Name, Usage, Default, Value string
	// Type is that of the default: string, bool, int, int64, float64 or duration.
	Type string
}
