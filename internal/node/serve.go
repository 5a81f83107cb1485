package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/conclave-dev/conclave/internal/httpapi"
	"github.com/conclave-dev/conclave/internal/opsapi"
)

// serveTimeout bounds how long requests may go on once a node stops.
const serveTimeout = 5 * time.Second

// serve answers clients and operators until ctx ends.
func (n *node) serve(ctx context.Context, ports *ports) error {
	g, ctx := errgroup.WithContext(ctx)
	serve := func(l net.Listener, bounds *httpapi.Connections, h http.Handler, secured *tls.Config) {
		if l != nil {
			g.Go(func() error { return n.serveListener(ctx, l, bounds, h, secured) })
		}
	}
	clients := n.metrics.measured(n.clients)
	serve(ports.http, n.clientConnections, clients, nil)
	serve(ports.https, n.clientConnections, clients, n.certificates.client.serverTLS(tls.NoClientCert))
	serve(ports.ops, n.opsConnections, n.operators, n.certificates.ops.serverTLS(tls.VerifyClientCertIfGiven))
	return g.Wait()
}

// serveListener serves one port within bounds of its connections, over TLS if
// secured is not nil, until ctx ends, and then lets the requests under way end for a
// while.
func (n *node) serveListener(ctx context.Context, l net.Listener, bounds *httpapi.Connections, h http.Handler, secured *tls.Config) error {
	server := httpapi.NewServer(h, n.options.Logger)
	server.TLSConfig = secured
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	failed := make(chan error, 1)
	bounded := bounds.Listen(server, l)
	go func() {
		if secured == nil {
			failed <- server.Serve(bounded)
		} else {
			failed <- server.ServeTLS(bounded, "", "")
		}
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("serving %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), serveTimeout)
	defer cancel()
	if err := server.Shutdown(ending); err != nil {
		_ = server.Close() // What is still open has had its time.
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return context.Cause(ctx)
}

// newClientAPI makes the handler for clients.
func (n *node) newClientAPI() (*httpapi.Handler, error) {
	hosts := n.options.Hosts
	if host, err := os.Hostname(); err == nil && len(hosts) == 0 {
		hosts = []string{strings.ToLower(host)}
	}
	return httpapi.New(httpapi.Options{Store: n.store, Cluster: clusterView{n}, Hosts: hosts, Logger: n.options.Logger})
}

// newOperationsAPI makes the handler for operators.
func (n *node) newOperationsAPI() (http.Handler, error) {
	return opsapi.New(opsapi.Options{
		Node: operations{n}, Steward: operations{n}, Metrics: n.metrics.registry,
		AdminTokenFile: n.options.AdminTokenFile, OperatorTokenFile: n.options.OperatorTokenFile,
		ClusterID: n.certificates.cluster, Log: n.options.Logger,
	})
}

// clusterView answers GET /v1/cluster.
type clusterView struct{ *node }

// Cluster implements httpapi.Cluster.
func (c clusterView) Cluster(context.Context) (httpapi.ClusterStatus, error) {
	s := operations(c).Status()
	view := httpapi.ClusterStatus{
		ClusterID: s.ClusterID, Name: s.Name, Version: s.Version, Ready: s.Ready, NotReadyReason: s.NotReadyReason,
		Leader: s.Leader, Term: s.Term, CommitIndex: s.CommitIndex, AppliedIndex: s.AppliedIndex,
	}
	for _, m := range s.Members {
		view.Members = append(view.Members, httpapi.ClusterMember{
			MemberID: m.MemberID, Name: m.Name, Role: m.Role,
			MatchIndex: m.MatchIndex, SinceContactMillis: m.SinceContactMillis,
		})
	}
	return view, nil
}
