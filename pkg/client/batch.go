package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// BatchItem asks for one key or, with an empty Key, for all keys that begin with
// Prefix, which may be empty too.
type BatchItem struct {
	Namespace string
	Key       string
	Prefix    string
}

// MarshalJSON writes the form of the API.
func (i BatchItem) MarshalJSON() ([]byte, error) {
	if i.Key == "" {
		return json.Marshal(struct {
			Namespace string `json:"namespace"`
			Prefix    string `json:"prefix"`
		}{i.Namespace, i.Prefix})
	}
	if i.Prefix != "" {
		return nil, fmt.Errorf("key %q and prefix %q: an item has one of them", i.Key, i.Prefix)
	}
	return json.Marshal(struct {
		Namespace string `json:"namespace"`
		Key       string `json:"key"`
	}{i.Namespace, i.Key})
}

// Batch is the answer to many questions, all as of one revision.
type Batch struct {
	// Revision is the store's revision that the answer is as of.
	Revision uint64 `json:"revision"`
	// Results answer the items, each at its item's place.
	Results []BatchResult `json:"results"`
}

// BatchResult answers one item.
type BatchResult struct {
	// Entry is the key's, nil when it is absent or a prefix was asked for.
	Entry *Entry `json:"entry"`
	// Entries are the prefix's, in byte order of their keys.
	Entries []Entry `json:"entries"`
}

// Batch reads up to 256 keys and prefixes at one revision. CodeReplyTooLarge when
// they are more than 16 MiB together.
func (c *Client) Batch(ctx context.Context, items []BatchItem, o ReadOptions) (*Batch, error) {
	body, err := json.Marshal(struct {
		Items []BatchItem `json:"items"`
	}{items})
	if err != nil {
		return nil, fmt.Errorf("client: batch: %w", err)
	}
	batch := call{method: http.MethodPost, path: "/v1/batch", query: url.Values{}, body: body, reads: true,
		header: http.Header{"Content-Type": {"application/json"}}}
	o.set(batch.query)
	reply, err := c.do(ctx, batch)
	if err != nil {
		return nil, err
	}
	answer := new(Batch)
	if err := reply.readAs(batch, o, answer); err != nil {
		return nil, err
	}
	if len(answer.Results) != len(items) {
		return nil, reply.unreadable(batch, fmt.Errorf("%d results answer %d items", len(answer.Results), len(items)))
	}
	return answer, nil
}
