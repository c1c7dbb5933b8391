// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package graph

// Plan is the job graph in the form of Flink's REST API; it marshals to its JSON.
type Plan struct {
	JobID string     `json:"jid"`
	Name  string     `json:"name"`
	Type  string     `json:"type"`
	Nodes []PlanNode `json:"nodes"`
}

// PlanNode is a vertex of a Plan.
type PlanNode struct {
	ID                  string         `json:"id"`
	Parallelism         int            `json:"parallelism"`
	Operator            string         `json:"operator"`
	OperatorStrategy    string         `json:"operator_strategy"`
	Description         string         `json:"description"`
	Inputs              []PlanInput    `json:"inputs,omitempty"`
	OptimizerProperties map[string]any `json:"optimizer_properties"`
}

// PlanInput is an edge of a Plan.
type PlanInput struct {
	Num          int    `json:"num"`
	ID           string `json:"id"`
	ShipStrategy string `json:"ship_strategy"`
	Exchange     string `json:"exchange"`
}

// PlanOf describes g. As Flink's, it lists consumers before their producers.
func PlanOf(g *JobGraph, jobID string) Plan {
	p := Plan{JobID: jobID, Name: g.Name, Type: "STREAMING", Nodes: make([]PlanNode, 0, len(g.Vertices))}
	for i := len(g.Vertices) - 1; i >= 0; i-- {
		v := g.Vertices[i]
		n := PlanNode{ID: v.ID, Parallelism: v.Parallelism, Description: v.Name, OptimizerProperties: map[string]any{}}
		for num, e := range v.In {
			n.Inputs = append(n.Inputs, PlanInput{
				Num: num, ID: e.From.ID, ShipStrategy: e.Stream.Partitioning.String(), Exchange: "pipelined_bounded",
			})
		}
		p.Nodes = append(p.Nodes, n)
	}
	return p
}
