// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// File takes a YAML file: a mapping whose keys are flat, nested, or both. name is used in messages.
func (c *Config) File(name string, text []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(doc.Content) == 0 {
		return nil // empty, or comments only
	}
	return c.node(name, "", doc.Content[0])
}

// node takes the part of a file below a prefix.
func (c *Config) node(name, prefix string, n *yaml.Node) error {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	at := fmt.Sprintf("%s:%d", name, n.Line)
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if prefix != "" {
				key = prefix + "." + key
			}
			if err := c.node(name, key, n.Content[i+1]); err != nil {
				return err
			}
		}
		return nil
	case yaml.SequenceNode:
		var items []string
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return fmt.Errorf("%s: option %s: want a list of plain values", at, prefix)
			}
			items = append(items, item.Value)
		}
		return c.Set(at, prefix, strings.Join(items, ";"))
	case yaml.ScalarNode:
		if prefix == "" {
			return fmt.Errorf("%s: want `key: value` lines", at)
		}
		if n.Tag == "!!null" {
			return nil
		}
		return c.Set(at, prefix, n.Value)
	default:
		return fmt.Errorf("%s: want a value", at)
	}
}
