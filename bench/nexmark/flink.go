// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/weir-stream/weir/bench/flink"
)

// The queries on Flink: each is a file of SQL, over a table whose source makes the same events as the generator here. What
// that cuts texts from is made here and handed over in a file.

//go:embed flink
var flinkFiles embed.FS

// flinkMemory is that of Flink's TaskManager.
const flinkMemory = "8g"

// flinkFactories are the classes of its tables: the events, the side input of q13, and a sink for answers that are compared.
func flinkFactories() (all []flink.Factory, err error) {
	for _, name := range []string{"NexmarkSource", "SideInput", "Answers"} {
		source, err := flinkFiles.ReadFile("flink/" + name + ".java")
		if err != nil {
			return nil, err
		}
		all = append(all, flink.Factory{Name: "weir.nexmark." + name, Source: string(source)})
	}
	return all, nil
}

// flinkEngine is a session of Flink with what its scripts are made of.
type flinkEngine struct {
	*flink.Session
	version string
	values  sqlValues
}

// sqlValues are filled into the scripts.
type sqlValues struct {
	Events, Rate, Base, OutOfOrder int64
	Seed                           uint64
	Vocabulary, SideInput, Dir     string
	// Answers are the options of the table that results go to.
	Answers string
}

// blackholeTable has Flink forget the results.
const blackholeTable = "'connector' = 'blackhole'"

// hasFlink tells whether there is SQL for a query.
func hasFlink(q query) bool {
	_, err := fs.Stat(flinkFiles, "flink/"+q.name+".sql")
	return err == nil
}

// startFlink compiles the source of events and starts a session in a directory.
func startFlink(ctx context.Context, h flink.Home, dir string, g *Generator, o *options) (*flinkEngine, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	e := &flinkEngine{version: h.Version, values: sqlValues{
		Events: g.Events, Rate: g.EventsPerSecond, Base: g.base, OutOfOrder: g.OutOfOrder, Seed: g.Seed,
		Vocabulary: filepath.Join(dir, "vocabulary"), SideInput: filepath.Join(dir, "side-input"), Dir: dir,
		Answers: blackholeTable,
	}}
	if err := os.WriteFile(e.values.Vocabulary, []byte(g.vocabulary.text()), 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(e.values.SideInput, []byte(sideInputText()), 0o644); err != nil {
		return nil, err
	}
	factories, err := flinkFactories()
	if err != nil {
		return nil, err
	}
	classes, err := h.Compile(ctx, dir, factories...)
	if err != nil {
		return nil, err
	}
	e.Session, err = flink.Start(ctx, h, flink.Config{
		Dir: dir, Classes: classes, Slots: o.parallelism, CheckpointInterval: o.checkpointInterval, Memory: flinkMemory,
	})
	return e, err
}

// text is all that events are made of, a list a line.
func (v *vocabulary) text() string {
	var hotNames, hotURLs, names, urls []string
	for _, c := range v.hot {
		hotNames, hotURLs = append(hotNames, c.name), append(hotURLs, c.url)
	}
	for _, c := range v.channels {
		names, urls = append(names, c.name), append(urls, c.url)
	}
	lines := []string{v.letters, v.words, v.cards}
	for _, list := range [][]string{hotNames, hotURLs, names, urls, v.names, v.emails, v.cities, v.states} {
		lines = append(lines, strings.Join(list, "\t"))
	}
	return strings.Join(lines, "\n") + "\n"
}

// sideInputText is the side input of q13, the value of each key a line.
func sideInputText() string {
	var text strings.Builder
	side := sideInput()
	for key := range int64(len(side)) {
		fmt.Fprintln(&text, side[key])
	}
	return text.String()
}

// script is the SQL of a query, with the tables that it reads.
func (v *sqlValues) script(name string) (string, error) {
	all, err := template.ParseFS(flinkFiles, "flink/events.sql", "flink/"+name+".sql")
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, part := range []string{"events.sql", name + ".sql"} {
		if err := all.ExecuteTemplate(&out, part, v); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

// measure runs a query; nil where there is no SQL for it.
func (e *flinkEngine) measure(ctx context.Context, q query) (*flink.Spent, error) {
	if !hasFlink(q) {
		return nil, nil //nolint:nilnil // some queries are not for Flink
	}
	script, err := e.values.script(q.name)
	if err != nil {
		return nil, err
	}
	took, err := e.Run(ctx, q.name, script)
	if err != nil {
		return nil, fmt.Errorf("Flink %s: %w", e.version, err)
	}
	return &took, nil
}
