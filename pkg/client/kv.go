package client

import (
	"context"
	"errors"
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
	// IfAbsent writes only if there is no such key, IfExists only if there is one.
	// ErrChanged otherwise. At most one of the three may be set.
	IfRevision uint64
	IfAbsent   bool
	IfExists   bool
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
	nameWrite(header, o.IdempotencyKey)
	put := call{method: http.MethodPut, header: header, body: value}
	put.try(o.DryRun)
	return c.writeKey(ctx, put, namespace, key, precondition{o.IfRevision, o.IfAbsent, o.IfExists})
}

// try makes the write a dry run, if that is wanted.
func (c *call) try(dryRun bool) {
	if dryRun {
		c.query, c.reads = url.Values{"dry-run": {"1"}}, true
	}
}

// DeleteOptions say on which condition a key is deleted.
type DeleteOptions struct {
	// IfRevision, if not 0, deletes only if that is the key's revision now;
	// ErrChanged otherwise. IfExists makes it ErrChanged, too, that there is no
	// such key. At most one of the two may be set.
	IfRevision uint64
	IfExists   bool
	// IdempotencyKey, if not empty, makes the delete safe to send again: see
	// NewIdempotencyKey.
	IdempotencyKey string
}

// Delete deletes one key and returns the store's revision that this made;
// ErrNotFound when there is none.
func (c *Client) Delete(ctx context.Context, namespace, key string, o DeleteOptions) (revision uint64, err error) {
	header := http.Header{}
	nameWrite(header, o.IdempotencyKey)
	return c.writeKey(ctx, call{method: http.MethodDelete, header: header}, namespace, key, precondition{o.IfRevision, false, o.IfExists})
}

// PatchOptions say which value is patched, and how.
type PatchOptions struct {
	// IfRevision patches the value of that revision, ErrChanged if it isn't the key's
	// now; IfExists whatever the value is. One of the two must be set.
	IfRevision uint64
	IfExists   bool
	// DryRun writes nothing, as in PutOptions.
	DryRun bool
	// IdempotencyKey, if not empty, makes the patch safe to send again, as in
	// PutOptions. It needs IfRevision: of another value, the same patch is another write.
	IdempotencyKey string
}

// Patch changes a part of a JSON value by a merge patch (RFC 7396), which is JSON
// too: members that are null go, others are set. The media type stays. It returns the
// store's revision that this made; ErrChanged when there is no such key, and
// CodeNotPatchable when its value isn't JSON. On any error, see Error.Outcome.
func (c *Client) Patch(ctx context.Context, namespace, key string, patch []byte, o PatchOptions) (revision uint64, err error) {
	if o.IfRevision == 0 && !o.IfExists {
		return 0, errors.New("client: a patch needs IfRevision, or IfExists for whatever the value is")
	}
	header := http.Header{"Content-Type": {"application/merge-patch+json"}}
	nameWrite(header, o.IdempotencyKey)
	change := call{method: http.MethodPatch, header: header, body: patch}
	change.try(o.DryRun)
	return c.writeKey(ctx, change, namespace, key, precondition{o.IfRevision, false, o.IfExists})
}

// writeKey sends what Put, Delete and Patch have in common.
func (c *Client) writeKey(ctx context.Context, write call, namespace, key string, when precondition) (revision uint64, err error) {
	if write.path, err = entryPath(namespace, key); err != nil {
		return 0, err
	}
	return c.write(ctx, write, when)
}

// write sends a write on a condition, and returns the store's revision that it made.
func (c *Client) write(ctx context.Context, write call, when precondition) (revision uint64, err error) {
	if err := when.set(write.header); err != nil {
		return 0, err
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

// precondition is what must hold of what is written: at most one of the three, and
// nothing if none is set.
type precondition struct {
	revision       uint64
	absent, exists bool
}

// set adds the condition to the header of a write.
func (p precondition) set(header http.Header) error {
	if p.revision != 0 && (p.absent || p.exists) || p.absent && p.exists {
		return errors.New("client: of the conditions of a write, one may be set, and there are more")
	}
	switch {
	case p.revision != 0:
		header.Set("If-Match", writeETag(p.revision))
	case p.exists:
		header.Set("If-Match", "*")
	case p.absent:
		header.Set("If-None-Match", "*")
	}
	return nil
}
