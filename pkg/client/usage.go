package client

import "context"

// Usage is what the store holds, beside what it may.
type Usage struct {
	// Keys and Bytes are of the live keys with their values, QuotaBytes what Bytes
	// may come to.
	Keys       int   `json:"keys"`
	Bytes      int64 `json:"bytes"`
	QuotaBytes int64 `json:"quotaBytes"`
	// HistoryBytes are what is kept of the past, HistoryQuotaBytes what they may come
	// to, and OldestRevision the oldest that can be read.
	HistoryBytes      int64  `json:"historyBytes"`
	HistoryQuotaBytes int64  `json:"historyQuotaBytes"`
	OldestRevision    uint64 `json:"oldestRevision"`
	// IdempotencyKeys are how many of them are remembered.
	IdempotencyKeys int `json:"idempotencyKeys"`
}

// NamespaceUsage is what a namespace holds, beside what it may.
type NamespaceUsage struct {
	Namespace string `json:"namespace"`
	// Keys and Bytes are of its live keys with their values.
	Keys  int   `json:"keys"`
	Bytes int64 `json:"bytes"`
	// QuotaBytes is what Bytes may come to, 0 where only the store's quota holds.
	QuotaBytes int64 `json:"quotaBytes,omitempty"`
	// Schemas are how many are attached to its prefixes.
	Schemas int `json:"schemas"`
}

// Usage tells what the store holds.
func (c *Client) Usage(ctx context.Context, o ReadOptions) (*Usage, error) {
	usage := new(Usage)
	if _, err := c.read(ctx, "/v1/usage", o, usage); err != nil {
		return nil, err
	}
	return usage, nil
}

// NamespaceUsage tells what a namespace holds, which is nothing when nobody has
// written to it.
func (c *Client) NamespaceUsage(ctx context.Context, namespace string, o ReadOptions) (*NamespaceUsage, error) {
	path, err := namespacePath("/v1/usage", namespace)
	if err != nil {
		return nil, err
	}
	usage := new(NamespaceUsage)
	if _, err := c.read(ctx, path, o, usage); err != nil {
		return nil, err
	}
	return usage, nil
}
