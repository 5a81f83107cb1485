package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// Format is how a prefix is written as one document.
type Format string

const (
	// FormatJSON nests the keys at their slashes.
	FormatJSON Format = "json"
	// FormatYAML does too.
	FormatYAML Format = "yaml"
	// FormatEnv is a line NAME='value' a key, for a shell.
	FormatEnv Format = "env"
)

// RenderOptions say what is written, and how.
type RenderOptions struct {
	ReadOptions
	// Prefix is what the keys begin with. It isn't part of their names in the document.
	Prefix string
	// Format is the form; default FormatJSON.
	Format Format
}

// Document is a prefix as one document.
type Document struct {
	// Type is its media type.
	Type string
	// ETag is its strong entity tag, which changes whenever the bytes do.
	ETag  string
	Bytes []byte
}

// Render returns all keys under a prefix as one document, as of one revision;
// CodeRenderConflict when they can't be one.
func (c *Client) Render(ctx context.Context, namespace string, o RenderOptions) (*Document, error) {
	if namespace == "" {
		return nil, errors.New("client: a namespace is needed")
	}
	render := call{method: http.MethodGet, path: "/v1/render/" + escapeSegment(namespace), query: url.Values{}}
	if o.Prefix != "" {
		render.query.Set("prefix", o.Prefix)
	}
	if o.Format != "" {
		render.query.Set("format", string(o.Format))
	}
	o.set(render.query)
	reply, err := c.do(ctx, render)
	if err != nil {
		return nil, err
	}
	if err := o.stand(reply.header); err != nil {
		return nil, reply.unreadable(render, err)
	}
	return &Document{Type: reply.header.Get("Content-Type"), ETag: reply.header.Get("ETag"), Bytes: reply.body}, nil
}
