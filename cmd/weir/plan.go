// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// showPlan writes the steps of a job for people, sources first.
func showPlan(w io.Writer, d *weirpb.JobDescription) error {
	var plan struct {
		Nodes []struct {
			ID          string `json:"id"`
			Parallelism int    `json:"parallelism"`
			Description string `json:"description"`
			Inputs      []struct {
				ID   string `json:"id"`
				Ship string `json:"ship_strategy"`
			} `json:"inputs"`
		} `json:"nodes"`
	}
	if err := json.Unmarshal(d.GetPlan(), &plan); err != nil {
		return fmt.Errorf("plan of the program: %w", err)
	}
	fmt.Fprintf(w, "%s: %s, %s\n\n", d.GetName(), count(len(plan.Nodes), "chain"), count(int(d.GetSlotsNeeded()), "slot"))
	slices.Reverse(plan.Nodes) // consumers come before their producers there
	names := map[string]string{}
	rows := [][]string{{"CHAIN", "STEPS", "SUBTASKS", "INPUT"}}
	for i, n := range plan.Nodes {
		names[n.ID] = strconv.Itoa(i + 1)
		var inputs []string
		for _, in := range n.Inputs {
			inputs = append(inputs, names[in.ID]+" by "+in.Ship)
		}
		rows = append(rows, []string{names[n.ID], n.Description, strconv.Itoa(n.Parallelism), strings.Join(inputs, ", ")})
	}
	table(w, rows)
	return nil
}
