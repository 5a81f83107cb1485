package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Rollback says what to go back to.
type Rollback struct {
	// To is the revision.
	To uint64 `json:"to"`
	// Prefix is what the keys begin with that go back; empty for the whole namespace.
	Prefix string `json:"prefix,omitempty"`
	// Reason is kept with the revision that this makes.
	Reason string `json:"reason,omitempty"`
	// IdempotencyKey, if not empty, makes it safe to send again: see
	// NewIdempotencyKey.
	IdempotencyKey string `json:"-"`
}

// RollbackResult is what a rollback did.
type RollbackResult struct {
	To uint64 `json:"to"`
	// Revision is the one that it made, or the store's when nothing differed.
	Revision uint64 `json:"revision"`
	// Changed is how many keys it changed.
	Changed int `json:"changed"`
}

// Rollback writes, as a new revision, what the keys were at an earlier one; those that
// have come since are deleted. CodePruned when history no longer reaches it. On any
// error, see Error.Outcome.
func (c *Client) Rollback(ctx context.Context, namespace string, o Rollback) (*RollbackResult, error) {
	post, err := o.call(namespace)
	if err != nil {
		return nil, err
	}
	nameWrite(post.header, o.IdempotencyKey)
	result := new(RollbackResult)
	if err := c.post(ctx, post, result); err != nil {
		return nil, err
	}
	return result, nil
}

// TryRollback changes nothing: it tells whether the rollback could be carried out
// now, and the store's revision. What it would change is the Diff from that to o.To.
func (c *Client) TryRollback(ctx context.Context, namespace string, o Rollback) (revision uint64, err error) {
	post, err := o.call(namespace)
	if err != nil {
		return 0, err
	}
	post.reads, post.query = true, url.Values{"dry-run": {"1"}}
	var preview struct{ From uint64 }
	if err := c.post(ctx, post, &preview); err != nil {
		return 0, err
	}
	return preview.From, nil
}

// call makes the request.
func (o Rollback) call(namespace string) (call, error) {
	if namespace == "" {
		return call{}, errors.New("client: a namespace is needed")
	}
	body, err := json.Marshal(o)
	if err != nil {
		return call{}, fmt.Errorf("client: rollback: %w", err)
	}
	return call{method: http.MethodPost, path: "/v1/rollback/" + escapeSegment(namespace), body: body,
		header: http.Header{"Content-Type": {"application/json"}}}, nil
}
