package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// ListOptions say which keys of a namespace are listed.
type ListOptions struct {
	// Prefix is what the keys begin with.
	Prefix string
	// Delimiter, "" or "/", lists keys that have it after the prefix once, as
	// their common prefix.
	Delimiter string
	// Limit is how many items a page has at most; default the node's, 100.
	Limit int
	// Cursor is Next of the page before, asked for with the same options.
	Cursor string
	// Values asks for the values too.
	Values bool
}

// Page is a part of a listing.
type Page struct {
	// Revision is the store's revision that the page shows.
	Revision uint64  `json:"revision"`
	Entries  []Entry `json:"entries"`
	// Prefixes are the common prefixes, each with the delimiter at its end.
	Prefixes []string `json:"prefixes"`
	// Next is the cursor of the next page, empty on the last one.
	Next string `json:"next"`
}

// List returns one page of the keys of a namespace, in byte order.
func (c *Client) List(ctx context.Context, namespace string, o ListOptions) (*Page, error) {
	if namespace == "" {
		return nil, errors.New("client: a namespace is needed")
	}
	list := call{method: http.MethodGet, path: "/v1/keys/" + escapeSegment(namespace), query: url.Values{}}
	for name, value := range map[string]string{"prefix": o.Prefix, "delimiter": o.Delimiter, "cursor": o.Cursor} {
		if value != "" {
			list.query.Set(name, value)
		}
	}
	if o.Limit != 0 {
		list.query.Set("limit", strconv.Itoa(o.Limit))
	}
	if o.Values {
		list.query.Set("values", "1")
	}
	reply, err := c.do(ctx, list)
	if err != nil {
		return nil, err
	}
	page := new(Page)
	if err := reply.decode(list, page); err != nil {
		return nil, err
	}
	return page, nil
}

// Pages returns the pages of a listing one after the other, from o.Cursor on. It
// ends after the last page or after an error.
func (c *Client) Pages(ctx context.Context, namespace string, o ListOptions) iter.Seq2[*Page, error] {
	return func(yield func(*Page, error) bool) {
		for {
			page, err := c.List(ctx, namespace, o)
			if err == nil && page.Next != "" && page.Next == o.Cursor {
				err = errors.New("client: the listing does not advance: a page gave its own cursor as the next")
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(page, nil) || page.Next == "" {
				return
			}
			o.Cursor = page.Next
		}
	}
}
