package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// ListOptions say which keys of a namespace are listed.
type ListOptions struct {
	ReadOptions
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

// call makes the request of a listing.
func (o ListOptions) call(namespace string) (call, error) {
	if namespace == "" {
		return call{}, errors.New("client: a namespace is needed")
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
	o.set(list.query)
	return list, nil
}

// List returns one page of the keys of a namespace, in byte order.
func (c *Client) List(ctx context.Context, namespace string, o ListOptions) (*Page, error) {
	list, err := o.call(namespace)
	if err != nil {
		return nil, err
	}
	reply, err := c.do(ctx, list)
	if err != nil {
		return nil, err
	}
	page := new(Page)
	if err := reply.readAs(list, o.ReadOptions, page); err != nil {
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

// streamType is the representation of a listing as a stream of lines.
const streamType = "application/x-ndjson"

// Entries returns all keys of a namespace that begin with o.Prefix, in byte order
// and as of one revision, however many they are. They come as a stream, which is
// not held in memory. Limit, Cursor and Delimiter must not be set. It ends after the
// last key, or after an error: what came before is then not all. A stream that has
// begun is not begun again.
func (c *Client) Entries(ctx context.Context, namespace string, o ListOptions) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		list, err := o.call(namespace)
		if err == nil && (o.Limit != 0 || o.Cursor != "" || o.Delimiter != "") {
			err = errors.New("client: a stream of entries has no limit, cursor or delimiter")
		}
		if err != nil {
			yield(nil, err)
			return
		}
		list.header = http.Header{"Accept": {streamType}}
		lines, err := c.follow(ctx, list, c.options.AttemptTimeout)
		if err != nil {
			yield(nil, err)
			return
		}
		defer lines.close()
		if err := o.stand(lines.response.Header); err != nil {
			yield(nil, lines.broken(err))
			return
		}
		for count := 0; ; count++ {
			entry, err := lines.entry(count)
			if entry == nil && err == nil || !yield(entry, err) || err != nil {
				return
			}
		}
	}
}

// entry reads the next line of a listing, nil for its end after so many entries.
func (s *stream) entry(count int) (*Entry, error) {
	text, err := s.line()
	if errors.Is(err, io.EOF) {
		err = s.broken(fmt.Errorf("the listing was cut off after %d entries", count))
	}
	if err != nil {
		return nil, err
	}
	var last struct {
		End     bool
		Entries int
	}
	entry := new(Entry)
	if err := errors.Join(json.Unmarshal(text, &last), json.Unmarshal(text, entry)); err != nil {
		return nil, s.broken(fmt.Errorf("decode entry %d: %w", count+1, err))
	}
	if !last.End {
		return entry, nil
	}
	if last.Entries != count {
		return nil, s.broken(fmt.Errorf("of %d entries, %d came", last.Entries, count))
	}
	return nil, nil
}
