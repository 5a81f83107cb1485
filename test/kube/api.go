package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// apiClient asks the API server the few questions that bringing a cluster up needs. It takes the place
// of client-go, which would be most of the tool, and of kubectl, whose start takes a tenth of a second.
type apiClient struct {
	http  *http.Client
	token string
}

// newAPIClient reads the cluster's keys; the API server need not be there yet.
func (c *cluster) newAPIClient() (*apiClient, error) {
	authority, err := os.ReadFile(c.path("pki", "ca.crt"))
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(c.path("pki", "token"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &apiClient{
		token: string(token),
		http: &http.Client{
			Timeout: 5 * time.Second,
			Transport: &http.Transport{
				DialContext:     dialerIn(c.controlPlaneNetns()),
				TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13},
			},
		},
	}, nil
}

// get asks for a path and decodes the answer into a value, or drops it if into is nil.
func (a *apiClient) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+apiAddress+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+a.token)
	response, err := a.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, response.Status)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

// nodesReady fails with the reason unless exactly `want` nodes are Ready.
func (a *apiClient) nodesReady(ctx context.Context, want int) error {
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Status   struct {
				Conditions []struct{ Type, Status, Message string }
			}
		}
	}
	if err := a.get(ctx, "/api/v1/nodes", &list); err != nil {
		return err
	}
	ready, reason := 0, ""
	for _, item := range list.Items {
		for _, condition := range item.Status.Conditions {
			switch {
			case condition.Type != "Ready":
			case condition.Status == "True":
				ready++
			default:
				reason = fmt.Sprintf(", %s: %s", item.Metadata.Name, condition.Message)
			}
		}
	}
	if ready != want {
		return fmt.Errorf("%d of %d nodes are Ready%s", ready, want, reason)
	}
	return nil
}

// resolves fails unless the cluster's DNS, asked from a node by its service address, knows the API
// server. That takes a CoreDNS pod, the node's kube-proxy and the way between nodes.
func (n node) resolves(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	dial := dialerIn(n.netns())
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dial(ctx, network, net.JoinHostPort(dnsIP, "53"))
	}}
	addresses, err := resolver.LookupHost(ctx, "kubernetes.default.svc."+clusterDomain+".")
	if failure := (*net.DNSError)(nil); errors.As(err, &failure) {
		// Its full message names a server of this machine's, which was never asked.
		return fmt.Errorf("DNS from %s: %s", n.hostname(), failure.Err)
	}
	if err != nil {
		return fmt.Errorf("DNS from %s: %w", n.hostname(), err)
	}
	if len(addresses) != 1 || addresses[0] != kubernetesIP {
		return fmt.Errorf("DNS from %s: kubernetes is %v, want %s", n.hostname(), addresses, kubernetesIP)
	}
	return nil
}
