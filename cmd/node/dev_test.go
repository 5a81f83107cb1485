package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// freeBase returns a base port for node dev of which all ports are free. They are
// below those that the system gives to connections.
func freeBase(t *testing.T) int {
	t.Helper()
	for range 1000 {
		base := 20_000 + rand.IntN(10_000)
		free := true
		for member := range devNames {
			for port := range 3 {
				l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", base+10*member+port))
				if err != nil {
					free = false
					continue
				}
				_ = l.Close()
			}
		}
		if free {
			return base
		}
	}
	t.Fatal("no ports are free")
	return 0
}

// greeting is what node dev prints.
type greeting struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (g *greeting) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.Write(p)
}

func (g *greeting) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.String()
}

// dev runs node dev over TLS until it greets, asks it for its cluster with what is in
// its directory, and stops it.
func dev(t *testing.T, dir string, base int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, ended := new(greeting), make(chan error, 1)
	c := command()
	c.SetArgs([]string{"dev", "--tls", "--dir", dir, "--base-port", fmt.Sprint(base)})
	c.SetOut(out)
	c.SetErr(out)
	go func() { ended <- c.ExecuteContext(ctx) }()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(out.String(), "Ctrl-C"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) || len(ended) > 0 {
			t.Fatalf("node dev doesn't greet: %s", out)
		}
	}
	person := filepath.Join(dir, "tls", "admin")
	pair, err := tls.LoadX509KeyPair(filepath.Join(person, "tls.crt"), filepath.Join(person, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	authorities, err := os.ReadFile(filepath.Join(person, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{pair}}
	config.RootCAs.AppendCertsFromPEM(authorities)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	for port, path := range map[int]string{0: "/v1/cluster", 2: "/admin/v1/status"} {
		response, err := client.Get(fmt.Sprintf("https://127.0.0.1:%d%s", base+port, path))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s answers %s", path, response.Status)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestDevSpeaksTLSAndStillDoesAfterARestart(t *testing.T) {
	dir, base := filepath.Join(t.TempDir(), "data"), freeBase(t)
	dev(t, dir, base)
	authority := filepath.Join(dir, "tls", "authority", "tls.crt")
	before, err := os.ReadFile(authority)
	if err != nil {
		t.Fatal(err)
	}
	dev(t, dir, base)
	after, err := os.ReadFile(authority)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the authority is another after a restart: %v", err)
	}
}
