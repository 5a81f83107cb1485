package controller

import (
	"context"
	"net/http"

	"github.com/conclave-dev/conclave/internal/admin"
)

// HTTPMembers asks members over HTTP.
type HTTPMembers struct{ client *http.Client }

// NewHTTPMembers returns a MemberClient that keeps connections for its next round
// and resolves names at each dial.
func NewHTTPMembers() *HTTPMembers {
	return &HTTPMembers{client: &http.Client{
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 1,
			MaxIdleConns:        1024,
			IdleConnTimeout:     2 * lookAgainSettled,
			// A pod that was replaced has another address, and a connection to
			// the old one may take minutes to fail by itself.
			ResponseHeaderTimeout: changeTimeout,
		},
	}}
}

// Status implements MemberClient.
func (m *HTTPMembers) Status(ctx context.Context, baseURL, token string) (*admin.Status, error) {
	client := admin.Client{BaseURL: baseURL, Token: token, HTTPClient: m.client}
	return client.Status(ctx)
}

// ChangeMembership implements MemberClient.
func (m *HTTPMembers) ChangeMembership(ctx context.Context, baseURL, token string, change admin.Change) error {
	client := admin.Client{BaseURL: baseURL, Token: token, HTTPClient: m.client}
	_, err := client.ChangeMembership(ctx, change)
	return err
}

// TransferLeadership implements MemberClient.
func (m *HTTPMembers) TransferLeadership(ctx context.Context, baseURL, token, successor string) error {
	client := admin.Client{BaseURL: baseURL, Token: token, HTTPClient: m.client}
	_, err := client.TransferLeadership(ctx, successor)
	return err
}
