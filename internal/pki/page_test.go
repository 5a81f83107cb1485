package pki

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTheCertificatesOfThePageAreThoseThatNodesWant makes certificates as docs/tls.md
// tells, with the real openssl and a real shell.
func TestTheCertificatesOfThePageAreThoseThatNodesWant(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed here")
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "tls.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, script, found := strings.Cut(string(page), "```sh\n")
	script, _, ended := strings.Cut(script, "```")
	if !found || !ended {
		t.Fatal("the page has no block of sh")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "sh", "-ec", script+"\nprintf %s \"$CLUSTER\" > cluster\n")
	shell.Dir = t.TempDir()
	if out, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	cluster, err := os.ReadFile(filepath.Join(shell.Dir, "cluster"))
	if err != nil {
		t.Fatal(err)
	}
	stores := map[string]*Store{}
	for dir, id := range map[string]Identity{
		"a": {string(cluster), RoleNode, "a"}, "b": {string(cluster), RoleNode, "b"}, "c": {string(cluster), RoleNode, "c"},
		"ann": {string(cluster), RoleAdmin, "ann"},
	} {
		if stores[dir], err = Open(Options{Dir: filepath.Join(shell.Dir, dir), Authorities: true, Check: CheckNames(id)}); err != nil {
			t.Fatal(err)
		}
	}
	if server, client := greet(t, stores["a"].PeerServerConfig(string(cluster)), stores["b"].PeerClientConfig()); server != nil || client != nil {
		t.Errorf("b can't reach a: %v, %v", server, client)
	}
	if server, _ := greet(t, stores["a"].PeerServerConfig(string(cluster)), stores["ann"].PeerClientConfig()); server == nil {
		t.Error("a takes a person for a node")
	}
}
