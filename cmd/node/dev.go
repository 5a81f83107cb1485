package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/conclave-dev/conclave/internal/node"
	"github.com/conclave-dev/conclave/internal/pki"
)

// devSettings are the flags of the cluster in one process.
type devSettings struct {
	dir      string
	basePort int
	tls      bool
	log      logSettings
	// client asks the nodes whether they are ready, over TLS if they want it.
	client *http.Client
}

// devNames are the members of the cluster in one process.
var devNames = []string{"a", "b", "c"}

func newDevCommand() *cobra.Command {
	var s devSettings
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run a cluster of three nodes in this process, on loopback",
		Long: `Run a cluster of three nodes in this process, on loopback, with the same log on disk
and the same connections between them as any other cluster. Member i (0, 1, 2)
listens at base-port + 10*i for clients, + 1 for its peers and + 2 for operations.
With --tls all of these speak TLS, with certificates that are made in the directory.
Started again on the same directory it continues where it was.`,
		Args:          noArguments,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(c *cobra.Command, _ []string) error { return s.run(c) },
	}
	c.Flags().StringVar(&s.dir, "dir", "data", "directory for the data of all three")
	c.Flags().IntVar(&s.basePort, "base-port", 8400, "first port")
	c.Flags().BoolVar(&s.tls, "tls", false, "encrypt all connections, with certificates of an authority that is made for it")
	s.log.flags(c)
	s.log.level = "warn"
	c.Flags().Lookup("log-level").DefValue = "warn"
	return c
}

func (s *devSettings) run(c *cobra.Command) error {
	if s.basePort < 1 || s.basePort > 65535-22 {
		return fmt.Errorf("base-port: %d is outside 1 to %d", s.basePort, 65535-22)
	}
	logger, err := s.log.logger(c.ErrOrStderr())
	if err != nil {
		return err
	}
	token, err := devToken(s.dir)
	if err != nil {
		return err
	}
	if err := s.prepareTLS(time.Now()); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(c.Context())
	for i, name := range devNames {
		o := s.options(i)
		o.AdminTokenFile, o.Logger = token, logger.With("node", name)
		g.Go(func() error {
			return named(name, node.Run(ctx, o, nil))
		})
	}
	g.Go(func() error {
		if awaitReady(ctx, s.ready) {
			s.greet(c.OutOrStdout())
		}
		return nil
	})
	return g.Wait()
}

// readyPause is the time between two looks at whether the cluster is ready.
const readyPause = 20 * time.Millisecond

// awaitReady waits until ready says so, and tells whether it did before ctx ended.
func awaitReady(ctx context.Context, ready func(context.Context) bool) bool {
	for !ready(ctx) {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(readyPause):
		}
	}
	return true
}

// ready tells whether all three nodes take clients.
func (s *devSettings) ready(ctx context.Context) bool {
	for i := range devNames {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url(i, 2)+"/readyz", nil)
		if err != nil {
			return false
		}
		request.Close = true
		response, err := s.client.Do(request)
		if err != nil {
			return false
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return false
		}
	}
	return true
}

// named tells which node an error is of.
func named(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("node %s: %w", name, err)
}

// options returns those of member i.
func (s *devSettings) options(i int) node.Options {
	at := func(member, port int) string { return fmt.Sprintf("127.0.0.1:%d", s.basePort+10*member+port) }
	o := node.Options{
		Name: devNames[i], DataDir: filepath.Join(s.dir, devNames[i]), ClusterName: "dev",
		HTTP: at(i, 0), Peer: at(i, 1), Ops: at(i, 2), Version: version,
	}
	for j, name := range devNames {
		o.InitialPeers = append(o.InitialPeers, node.Peer{Name: name, Address: at(j, 1)})
	}
	if s.tls {
		o.HTTP, o.HTTPS = node.Off, o.HTTP
		own := s.certificates(devNames[i])
		o.PeerTLS, o.ClientTLS, o.OpsTLS = own, own, own
	}
	return o
}

// url returns where member i listens, for clients with port 0, for operations with 2.
func (s *devSettings) url(member, port int) string {
	scheme := "http"
	if s.tls {
		scheme = "https"
	}
	return fmt.Sprintf("%s://127.0.0.1:%d", scheme, s.basePort+10*member+port)
}

// greet prints what a person can paste.
func (s *devSettings) greet(out io.Writer) {
	curl := "curl -fsS"
	if s.tls {
		curl += " --cacert " + filepath.Join(s.certificates(devPerson), pki.FileAuthorities)
	}
	fmt.Fprintf(out, `Three nodes run, with their data in %[1]s. Try:

  printf 'postgres://db' | %[6]s -T - %[2]s/v1/kv/pay/db/url
  %[6]s %[3]s/v1/kv/pay/db/url
  %[6]s '%[4]s/v1/keys/pay?prefix=db/'
  %[6]s %[2]s/v1/cluster
  %[6]s -H "Authorization: Bearer $(cat %[1]s/admin-token)" %[5]s/admin/v1/status
%[7]s
Ctrl-C stops them; the same command starts them again where they were.
`, s.dir, s.url(0, 0), s.url(1, 0), s.url(2, 0), s.url(0, 2), curl, s.greetTLS())
}

// greetTLS tells what else there is to try with TLS.
func (s *devSettings) greetTLS() string {
	if !s.tls {
		return ""
	}
	return fmt.Sprintf(`
  export CONCLAVE_CA=%[1]s/ca.crt CONCLAVE_CERT=%[1]s/tls.crt CONCLAVE_CERT_KEY=%[1]s/tls.key
  conclave get pay db/url --endpoint %[2]s
  conclave members list --ops %[3]s
`, s.certificates(devPerson), s.url(0, 0), s.url(0, 2))
}

// devToken makes the token for /admin once and returns its file.
func devToken(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("dir: %w", err)
	}
	path := filepath.Join(dir, "admin-token")
	if err := checkDevDir(dir, path); err != nil {
		return "", err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return path, nil
	}
	if err != nil {
		return "", fmt.Errorf("dir: %w", err)
	}
	if _, err := fmt.Fprintln(file, rand.Text()); err != nil {
		return "", errors.Join(err, file.Close())
	}
	return path, file.Close()
}

// checkDevDir refuses a directory that holds something and was not made here.
func checkDevDir(dir, token string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("dir: %w", err)
	}
	if _, err := os.Stat(token); err == nil || len(entries) == 0 {
		return nil
	}
	return fmt.Errorf("dir: %s holds %q and is not the data of node dev: name an empty directory", dir, entries[0].Name())
}
