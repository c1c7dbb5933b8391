// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package config

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestHideSecrets(t *testing.T) {
	got := HideSecrets(map[string]string{
		"s3.secret-key": "a", "db.PassWord": "b", "kafka.jaas.config": "c", "x.api-key": "", "parallelism.default": "2",
	})
	want := map[string]string{
		"s3.secret-key": Hidden, "db.PassWord": Hidden, "kafka.jaas.config": Hidden, "x.api-key": "", "parallelism.default": "2",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestHideArguments(t *testing.T) {
	for line, want := range map[string]string{
		"":                                 "",
		"--rate 5 --token=abc --out x":     "--rate 5 --token=****** --out x",
		"-db-password abc passwords":       "-db-password ****** passwords",
		"--secret --verbose x":             "--secret --verbose x",
		"password=abc":                     "password=abc",
		"--token ":                         "--token",
		"--api-key a --api-key b --rate=1": "--api-key ****** --api-key ****** --rate=1",
	} {
		if got := strings.Join(HideArguments(strings.Fields(line)), " "); got != want {
			t.Errorf("%q became %q, want %q", line, got, want)
		}
	}
}

// TestOptionsThatLookSecretAre: an option whose key looks secret is hidden, unless it is known to be none.
func TestOptionsThatLookSecretAre(t *testing.T) {
	public := []string{RESTTokenFile} // a path
	for _, o := range Cluster() {
		if Sensitive(o.Key) && !o.Secret && !slices.Contains(public, o.Key) {
			t.Errorf("%s looks secret, and its value is shown", o.Key)
		}
	}
	c := New(Cluster())
	if err := c.Set("-D", RESTToken, "my-token"); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Entries() {
		if strings.Contains(e.Value, "my-token") {
			t.Errorf("%s is shown: %s", e.Key, e.Value)
		}
	}
	if got := c.Secrets("-D"); !slices.Equal(got, []string{"WEIR_REST_TOKEN=my-token"}) {
		t.Errorf("for a child's environment: %q", got)
	}
	if got := c.Secrets("flag"); len(got) != 0 {
		t.Errorf("from elsewhere: %q", got)
	}
}
