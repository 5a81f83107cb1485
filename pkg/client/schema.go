package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// Schema is a JSON Schema (2020-12) that is attached to a prefix: the values of all
// keys that begin with it must satisfy it, by their media type JSON or YAML.
type Schema struct {
	// Prefix is what the keys begin with; empty for all keys of the namespace.
	Prefix string `json:"prefix"`
	// Revision is the one that attached it.
	Revision uint64 `json:"revision"`
	// Time is what the leader's clock showed then, in a list; else it is zero.
	Time time.Time `json:"time,omitzero"`
	// Bytes is the length of the document.
	Bytes int `json:"bytes"`
	// Document is the schema as it was sent; nil in a list.
	Document []byte `json:"-"`
}

// SchemaOptions say on which condition a schema is attached or detached.
type SchemaOptions struct {
	// IfRevision, if not 0, writes only if that is the revision of the prefix's
	// schema now; IfAbsent only if the prefix has none, IfExists only if it has one.
	// ErrChanged otherwise. At most one of the three may be set.
	IfRevision uint64
	IfAbsent   bool
	IfExists   bool
	// IdempotencyKey, if not empty, makes the write safe to send again: see
	// NewIdempotencyKey.
	IdempotencyKey string
}

// AttachSchema attaches a schema to a prefix, in place of the one that is there, and
// returns the store's revision that this made. CodeInvalid when it is no schema,
// CodeSchema when values under the prefix don't satisfy it. On any error, see
// Error.Outcome.
func (c *Client) AttachSchema(ctx context.Context, namespace, prefix string, document []byte, o SchemaOptions) (revision uint64, err error) {
	put := call{method: http.MethodPut, header: http.Header{"Content-Type": {"application/json"}}, body: document}
	return c.writeSchema(ctx, put, namespace, prefix, o)
}

// DetachSchema takes the schema off a prefix, and returns the store's revision that
// this made; ErrNotFound when there is none.
func (c *Client) DetachSchema(ctx context.Context, namespace, prefix string, o SchemaOptions) (revision uint64, err error) {
	return c.writeSchema(ctx, call{method: http.MethodDelete, header: http.Header{}}, namespace, prefix, o)
}

func (c *Client) writeSchema(ctx context.Context, write call, namespace, prefix string, o SchemaOptions) (revision uint64, err error) {
	if write.path, err = prefixPath("/v1/schemas/", namespace, prefix); err != nil {
		return 0, err
	}
	nameWrite(write.header, o.IdempotencyKey)
	return c.write(ctx, write, precondition{o.IfRevision, o.IfAbsent, o.IfExists})
}

// Schema reads the schema that is attached to exactly this prefix; ErrNotFound when
// there is none.
func (c *Client) Schema(ctx context.Context, namespace, prefix string, o ReadOptions) (*Schema, error) {
	path, err := prefixPath("/v1/schemas/", namespace, prefix)
	if err != nil {
		return nil, err
	}
	get := call{method: http.MethodGet, path: path, query: url.Values{}}
	o.set(get.query)
	reply, err := c.do(ctx, get)
	if err != nil {
		return nil, err
	}
	revision, err := readETag(reply.header.Get("ETag"))
	if err := errors.Join(err, o.stand(reply.header)); err != nil {
		return nil, reply.unreadable(get, err)
	}
	return &Schema{Prefix: prefix, Revision: revision, Bytes: len(reply.body), Document: reply.body}, nil
}

// Schemas lists the schemas of a namespace without their documents, in byte order of
// their prefixes.
func (c *Client) Schemas(ctx context.Context, namespace string, o ReadOptions) ([]Schema, error) {
	path, err := namespacePath("/v1/schemas", namespace)
	if err != nil {
		return nil, err
	}
	var list struct{ Schemas []Schema }
	if _, err := c.read(ctx, path, o, &list); err != nil {
		return nil, err
	}
	return list.Schemas, nil
}

// read asks for JSON.
func (c *Client) read(ctx context.Context, path string, o ReadOptions, into any) (*reply, error) {
	get := call{method: http.MethodGet, path: path, query: url.Values{}}
	o.set(get.query)
	reply, err := c.do(ctx, get)
	if err != nil {
		return nil, err
	}
	return reply, reply.readAs(get, o, into)
}
