package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// History returns the versions of a key that history still has, newest first,
// deletions among them. It ends after the oldest, or after an error.
func (c *Client) History(ctx context.Context, namespace, key string, o ReadOptions) iter.Seq2[*Change, error] {
	return func(yield func(*Change, error) bool) {
		path, err := keyPath("/v1/history/", namespace, key)
		if err != nil {
			yield(nil, err)
			return
		}
		type page struct {
			Entries []Change
			Next    string
		}
		history := call{method: http.MethodGet, path: path, query: url.Values{}}
		o.set(history.query)
		pages(ctx, c, history, o, yield, func(p *page) ([]Change, string) {
			for i := range p.Entries {
				p.Entries[i].Entry.Namespace, p.Entries[i].Entry.Key = namespace, key
			}
			return p.Entries, p.Next
		})
	}
}

// Difference is a key whose value or type differs between two revisions.
type Difference struct {
	Key string `json:"key"`
	// Before and After are the key's entry at the two; one of them is nil where the
	// key was absent.
	Before *Entry `json:"before,omitempty"`
	After  *Entry `json:"after,omitempty"`
	// Reason is what a rollback gave as its reason, if it made of the key what it is
	// at the second.
	Reason string `json:"reason,omitempty"`
}

// DiffOptions say what is compared.
type DiffOptions struct {
	ReadOptions
	// Prefix is what the keys begin with.
	Prefix string
	// From and To are the two revisions; To 0 is the newest.
	From, To uint64
}

// Diff compares the keys of a namespace at two revisions, in byte order. It ends
// after the last difference, or after an error: CodePruned when history no longer
// reaches a revision.
func (c *Client) Diff(ctx context.Context, namespace string, o DiffOptions) iter.Seq2[*Difference, error] {
	return func(yield func(*Difference, error) bool) {
		if namespace == "" {
			yield(nil, errors.New("client: a namespace is needed"))
			return
		}
		type page struct {
			Changes []Difference
			Next    string
		}
		diff := call{method: http.MethodGet, path: "/v1/diff/" + escapeSegment(namespace),
			query: url.Values{"from": {strconv.FormatUint(o.From, 10)}}}
		if o.To != 0 {
			diff.query.Set("to", strconv.FormatUint(o.To, 10))
		}
		if o.Prefix != "" {
			diff.query.Set("prefix", o.Prefix)
		}
		o.set(diff.query)
		pages(ctx, c, diff, o.ReadOptions, yield, func(p *page) ([]Difference, string) { return p.Changes, p.Next })
	}
}

// pages asks for the pages of an answer one after the other, and yields what is in
// them.
func pages[P, T any](ctx context.Context, c *Client, first call, o ReadOptions, yield func(*T, error) bool, open func(*P) ([]T, string)) {
	for cursor := ""; ; {
		reply, err := c.do(ctx, first)
		page := new(P)
		if err == nil {
			err = reply.readAs(first, o, page)
		}
		items, next := open(page)
		if err == nil && next != "" && next == cursor {
			err = errors.New("client: the answer does not advance: a page gave its own cursor as the next")
		}
		if err != nil {
			yield(nil, err)
			return
		}
		for i := range items {
			if !yield(&items[i], nil) {
				return
			}
		}
		if next == "" {
			return
		}
		cursor = next
		first.query.Set("cursor", cursor)
	}
}
