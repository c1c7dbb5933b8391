// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"os"
	"strings"
	"testing"

	"github.com/weir-stream/weir/internal/certs"
	"github.com/weir-stream/weir/internal/restclient"
	"github.com/weir-stream/weir/test/flightstest"
)

// TestSecured runs a job on a cluster whose parts show certificates to each other, and whose REST API wants TLS and a
// token.
func TestSecured(t *testing.T) {
	t.Parallel()
	const admin, reader = "admin-token-0123456789abcdef", "reader-token-0123456789abcdef"
	root := shortDir(t)
	begin(t, root, weir(t), "certs", "init", "certs").wants(t, 0, "security.ssl.dir: "+root+"/certs")
	tokens := root + "/tokens"
	if err := os.WriteFile(tokens, []byte("admin "+admin+"\nread-only "+reader+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tls := []string{"-D", "security.ssl.dir=" + root + "/certs", "-D", "security.ssl.rest.enabled=true"}
	c := newCluster(t, append(tls, "--taskmanagers", "2", "-D", "security.ssl.internal.enabled=true",
		"-D", "rest.token-file="+tokens, "-D", "rest.token="+admin)...)
	trusted, err := certs.Client(root + "/certs")
	if err != nil {
		t.Fatal(err)
	}
	c.rest = func(address string) *restclient.Client {
		return restclient.New(restclient.Config{Address: address, Token: admin, TLS: trusted})
	}
	c.client = append(c.client, tls...)
	c.start()
	plain := c.client
	c.weir("list").wants(t, 1, "token")
	c.client = append(plain, "-D", "rest.token="+reader)
	c.weir("list").wants(t, 0, "no jobs")
	c.weir("run", flights(t), "--", "--out", "out").wants(t, 1)
	c.client = append(plain, "-D", "rest.token="+admin)
	c.weir("run", "-p", "2", flights(t), "--", "--out", "out", "--parallelism", "2").wants(t, 0, "FINISHED in ")
	flightstest.Compare(t, c.out("out"), flightstest.Reference(t, shipped))
	if logs := c.logs(); strings.Contains(logs, admin) {
		t.Error("a token is in the logs")
	}
	for _, p := range processes(t, c.root) {
		if p.kind != supervisor && strings.Contains(strings.Join(p.args, " "), admin) {
			t.Errorf("a token is among the arguments of a %s", p.kind)
		}
	}
	address, err := os.ReadFile(c.data + "/rpc.address")
	if err != nil {
		t.Fatal(err)
	}
	// Without a certificate nobody becomes a TaskManager, so the job waits for the slot that it would bring.
	intruder := begin(t, c.work, weir(t), "taskmanager", "--jobmanager", strings.TrimSpace(string(address)), "--data-dir", c.out("tm"))
	eventually(t, "the JobManager refuses who has no certificate", func() bool {
		return strings.Contains(intruder.text(), "tls") || strings.Contains(intruder.text(), "EOF") ||
			strings.Contains(intruder.text(), "connection") || intruder.ended()
	}, intruder.text)
	c.weir("taskmanagers", "-o", "json").wants(t, 0, `"id"`)
	var all []restclient.TaskManager
	c.weir("taskmanagers", "-o", "json").wants(t, 0).into(t, &all)
	if len(all) != 2 {
		t.Errorf("%d TaskManagers, with one that has no certificate", len(all))
	}
}
