// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"strings"
	"testing"
)

func TestEngineOptions(t *testing.T) {
	for args, want := range map[string]string{
		"--engine spark": "want weir or flink",
		"--engine flink": "needs --flink-home",
		"--flink-home x": "is for --engine flink",
		"--check":        "needs --engine flink",
		"--engine flink --flink-home x --check --hand": "measures nothing",
	} {
		if _, err := parseOptions(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
	err := run(t.Context(), []string{"--engine", "flink", "--flink-home", t.TempDir(), "--events", "1"}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "is no distribution of Flink") {
		t.Errorf("an empty directory: %v", err)
	}
}

// TestScripts fills in the SQL of all queries but q6, which Flink can't. Each has answers to be compared.
func TestScripts(t *testing.T) {
	v := sqlValues{
		Events: 12345, Rate: 678, Base: 9, Seed: 42, OutOfOrder: 1, Vocabulary: "/words", SideInput: "/side", Dir: "/dir",
		Answers: blackholeTable,
	}
	all := allAnswers()
	for _, q := range queries() {
		if _, compared := all[q.name]; hasFlink(q) != (q.name != "q6") || hasFlink(q) != compared {
			t.Errorf("%s: there is SQL: %v, answers: %v", q.name, hasFlink(q), compared)
		}
		if !hasFlink(q) {
			continue
		}
		script, err := v.script(q.name)
		if err != nil {
			t.Fatal(err)
		}
		into := "CREATE TABLE answers WITH (" + blackholeTable + ")"
		if q.name == "q10" {
			into = "'path' = 'file:///dir/log'"
		}
		if strings.Contains(script, "{{") || !strings.Contains(script, "'events' = '12345'") || !strings.Contains(script, into) {
			t.Errorf("%s:\n%s", q.name, script)
		}
	}
}

// TestFactories finds the class of each factory in its source.
func TestFactories(t *testing.T) {
	all, err := flinkFactories()
	if err != nil || len(all) != 3 {
		t.Fatalf("%d factories: %v", len(all), err)
	}
	for _, f := range all {
		_, class, _ := strings.Cut(f.Name, "weir.nexmark.")
		if !strings.Contains(f.Source, "public final class "+class+" ") {
			t.Errorf("%s is not in its source", f.Name)
		}
	}
	if lines := strings.Split(sideInputText(), "\n"); len(lines) != sideRows+1 || lines[3] != "side-21" {
		t.Errorf("%d lines of the side input", len(lines))
	}
}

// TestVocabularyText reads the lines as the source of Flink does.
func TestVocabularyText(t *testing.T) {
	v := newVocabulary(1)
	lines := strings.Split(v.text(), "\n")
	if len(lines) != 12 || lines[11] != "" || lines[0] != v.letters || lines[2] != v.cards {
		t.Fatalf("%d lines", len(lines))
	}
	if urls := strings.Split(lines[6], "\t"); len(urls) != channelCount || urls[7] != v.channels[7].url {
		t.Errorf("%d addresses of channels", len(urls))
	}
	if strings.Contains(v.letters+v.words+v.cards, "\t") {
		t.Error("a text has what separates texts")
	}
}
