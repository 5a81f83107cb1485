package client

import (
	"context"
	"net/http"
	"net/url"
)

// Get reads one key; ErrNotFound when there is none.
func (c *Client) Get(ctx context.Context, namespace, key string, o ReadOptions) (*Entry, error) {
	path, err := entryPath(namespace, key)
	if err != nil {
		return nil, err
	}
	get := call{method: http.MethodGet, path: path, query: url.Values{}, header: http.Header{"Accept": {entryType}}}
	o.set(get.query)
	reply, err := c.do(ctx, get)
	if err != nil {
		return nil, err
	}
	entry := new(Entry)
	if err := reply.readAs(get, o, entry); err != nil {
		return nil, err
	}
	return entry, nil
}

// PutOptions say how, and on which condition, a key is written.
type PutOptions struct {
	// Type is the media type of the value; default application/octet-stream.
	Type string
	// IfRevision, if not 0, writes only if that is the key's revision now;
	// IfAbsent writes only if there is no such key. ErrChanged otherwise.
	IfRevision uint64
	IfAbsent   bool
	// DryRun writes nothing: it asks whether the same request would have been
	// applied now, which promises nothing about a later one. The revision is then
	// the store's.
	DryRun bool
	// IdempotencyKey, if not empty, makes the write safe to send again: see
	// NewIdempotencyKey. A dry run has none.
	IdempotencyKey string
}

// Put writes one key and returns the store's revision that this made. On any
// error, see Error.Outcome.
func (c *Client) Put(ctx context.Context, namespace, key string, value []byte, o PutOptions) (revision uint64, err error) {
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	if o.Type != "" {
		header.Set("Content-Type", o.Type)
	}
	if o.IfAbsent {
		header.Set("If-None-Match", "*")
	}
	nameWrite(header, o.IdempotencyKey)
	var query url.Values
	if o.DryRun {
		query = url.Values{"dry-run": {"1"}}
	}
	return c.write(ctx, call{method: http.MethodPut, query: query, header: header, body: value, reads: o.DryRun}, namespace, key, o.IfRevision)
}

// DeleteOptions say on which condition a key is deleted.
type DeleteOptions struct {
	// IfRevision, if not 0, deletes only if that is the key's revision now;
	// ErrChanged otherwise.
	IfRevision uint64
	// IdempotencyKey, if not empty, makes the delete safe to send again: see
	// NewIdempotencyKey.
	IdempotencyKey string
}

// Delete deletes one key and returns the store's revision that this made;
// ErrNotFound when there is none.
func (c *Client) Delete(ctx context.Context, namespace, key string, o DeleteOptions) (revision uint64, err error) {
	header := http.Header{}
	nameWrite(header, o.IdempotencyKey)
	return c.write(ctx, call{method: http.MethodDelete, header: header}, namespace, key, o.IfRevision)
}

// write sends what Put and Delete have in common.
func (c *Client) write(ctx context.Context, write call, namespace, key string, ifRevision uint64) (revision uint64, err error) {
	if write.path, err = entryPath(namespace, key); err != nil {
		return 0, err
	}
	if ifRevision != 0 {
		write.header.Set("If-Match", writeETag(ifRevision))
	}
	reply, err := c.do(ctx, write)
	if err != nil {
		return 0, err
	}
	if revision, err = readRevision(reply.header); err != nil {
		return 0, reply.unreadable(write, err)
	}
	return revision, nil
}
