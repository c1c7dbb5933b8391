// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-stream/weir/internal/spelling"
)

// Config is a configuration. What is set later wins over what was set before. It is made by one goroutine, and may then
// be read by any.
type Config struct {
	options []Option
	byKey   map[string]*Option
	values  map[string]value
	// Warnings are what was ignored, as sentences.
	Warnings []string
}

type value struct{ text, origin string }

// New makes a configuration of defaults.
func New(options []Option) *Config {
	c := &Config{options: options, byKey: map[string]*Option{}, values: map[string]value{}}
	for i := range options {
		o := &options[i]
		c.byKey[o.Key] = o
		for _, old := range o.Deprecated {
			c.byKey[old] = o
		}
	}
	return c
}

// Set sets a key; origin says where that was, for people. The error names the key and the nearest that is known.
func (c *Config) Set(origin, key, text string) error {
	o := c.byKey[key]
	switch {
	case o == nil && meansNothing(key):
		c.Warnings = append(c.Warnings, fmt.Sprintf("%s: %s has no meaning for Weir and is ignored", origin, key))
		return nil
	case o == nil:
		return fmt.Errorf("%s: unknown option %q; did you mean %s?", origin, key, c.nearest(key))
	}
	if err := o.check(text); err != nil {
		return fmt.Errorf("%s: option %s: %w", origin, key, err)
	}
	c.values[o.Key] = value{text, origin}
	return nil
}

// nearest is the known key that is most like another.
func (c *Config) nearest(key string) string {
	keys := make([]string, len(c.options))
	for i, o := range c.options {
		keys[i] = o.Key
	}
	return spelling.Nearest(key, keys)
}

// Environment takes the variables that are named for an option: WEIR_ and the key in capitals, with _ for each other
// character. environ is in the form of os.Environ.
func (c *Config) Environment(environ []string) error {
	names := map[string]string{}
	for _, o := range c.options {
		names[VariableOf(o.Key)] = o.Key
	}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if key := names[name]; key != "" {
			if err := c.Set("environment "+name, key, text); err != nil {
				return err
			}
		}
	}
	return nil
}

// VariableOf is the environment variable of a key.
func VariableOf(key string) string {
	return "WEIR_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
			return r
		default:
			return '_'
		}
	}, key)
}

// get returns the text of a key, which must be an option's.
func (c *Config) get(key string) string {
	o := c.byKey[key]
	if o == nil {
		panic("config: " + key + " is no option of this configuration")
	}
	if v, ok := c.values[o.Key]; ok {
		return v.text
	}
	return o.Default
}

// IsSet tells whether a key has another value than by default.
func (c *Config) IsSet(key string) bool {
	_, ok := c.values[key]
	return ok
}

// String returns the value of a key as text.
func (c *Config) String(key string) string { return c.get(key) }

// Bool returns the value of an option of that kind; like all below it trusts Set, which has checked the value.
func (c *Config) Bool(key string) bool { return must(ParseBool(c.get(key))) }

// Int returns a number; zero where there is neither value nor default.
func (c *Config) Int(key string) int {
	n, _ := parseUnits(c.get(key), []unit[int64]{{[]string{""}, 1}})
	return int(n)
}

// Duration returns a duration; zero where there is neither value nor default.
func (c *Config) Duration(key string) time.Duration {
	d, _ := ParseDuration(c.get(key))
	return d
}

// Memory returns a size in bytes; zero where there is neither value nor default.
func (c *Config) Memory(key string) int64 {
	n, _ := ParseMemory(c.get(key))
	return n
}

// Ports returns the ports of a list and of ranges.
func (c *Config) Ports(key string) []int {
	ports, _ := ParsePorts(c.get(key))
	return ports
}

// List returns the elements of a list.
func (c *Config) List(key string) []string {
	return strings.FieldsFunc(c.get(key), func(r rune) bool { return r == ',' || r == ';' || r == ' ' })
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Of returns what was set of a scope, by key: the defaults for jobs, say, that a submission carries.
func (c *Config) Of(s Scope) map[string]string {
	set := map[string]string{}
	for key, v := range c.values {
		if c.byKey[key].Scope == s {
			set[key] = v.text
		}
	}
	return set
}

// Entry is a setting as people see it.
type Entry struct {
	Key, Value string
	// Origin says where the value is from.
	Origin string
	Option *Option
}

// Entries lists all options with their values, by key; secrets are hidden.
func (c *Config) Entries() []Entry {
	all := make([]Entry, 0, len(c.options))
	for i := range c.options {
		o := &c.options[i]
		e := Entry{Key: o.Key, Value: o.Default, Origin: "default", Option: o}
		if v, ok := c.values[o.Key]; ok {
			e.Value, e.Origin = v.text, v.origin
		}
		if o.Secret && e.Value != "" {
			e.Value = Hidden
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Entry) int { return compareKeys(a.Key, b.Key) })
	return all
}

// Secrets are the secret values that came from one of the origins, in the form of os.Environ: a child reads them there, and
// nobody sees them who lists processes.
func (c *Config) Secrets(origins ...string) []string {
	var environ []string
	for i := range c.options {
		o := &c.options[i]
		if v, ok := c.values[o.Key]; ok && o.Secret && slices.Contains(origins, v.origin) {
			environ = append(environ, VariableOf(o.Key)+"="+v.text)
		}
	}
	return environ
}

// compareKeys orders by the parts between dots.
func compareKeys(a, b string) int {
	return slices.Compare(strings.Split(a, "."), strings.Split(b, "."))
}
