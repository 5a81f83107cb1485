package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/conclave-dev/conclave/pkg/config"
)

// pageBody is a page of a listing. All pages are as of Revision.
type pageBody struct {
	Namespace string      `json:"namespace"`
	Revision  uint64      `json:"revision"`
	Entries   []entryBody `json:"entries"`
	Prefixes  []string    `json:"prefixes"`
	// Next is the cursor of the next page, absent on the last one.
	Next string `json:"next,omitempty"`
}

// listParameters are the query parameters of a listing.
var listParameters = append([]string{"prefix", "delimiter", "limit", "cursor", "values", "revision"}, readParameters...)

// listKeys serves /v1/keys/{namespace}, a page at a time or as one stream.
func (h *Handler) listKeys(w http.ResponseWriter, r *http.Request, to target) error {
	list, err := listOptions(to.query)
	if err != nil {
		return err
	}
	fresh, err := readOptions(to.query)
	if err != nil {
		return err
	}
	if fresh.At, err = readRevision(to.query); err != nil {
		return err
	}
	if accepts(r.Header, streamMediaType) {
		return h.streamKeys(w, r, to, list, fresh)
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.ReadTimeout)
	defer cancel()
	page, standing, err := h.Store.List(ctx, to.namespace, list, fresh)
	if err != nil {
		return err
	}
	body := pageBody{
		Namespace: to.namespace, Revision: standing.Revision, Next: page.Next,
		Entries: make([]entryBody, 0, len(page.Entries)), Prefixes: append([]string{}, page.Prefixes...),
	}
	for _, e := range page.Entries {
		body.Entries = append(body.Entries, newEntryBody(to.namespace, e, list.Values))
	}
	w.Header()["Vary"] = varyAccept
	return writeJSON(w, standing, body)
}

func listOptions(query url.Values) (config.ListOptions, error) {
	o := config.ListOptions{
		Prefix: query.Get("prefix"), Delimiter: query.Get("delimiter"), Cursor: query.Get("cursor"),
	}
	var err error
	if o.Values, err = flag(query, "values"); err != nil {
		return o, err
	}
	o.Limit, err = readLimit(query)
	return o, err
}

// readLimit reads how many items a page has at most, 0 for the default.
func readLimit(query url.Values) (int, error) {
	if !query.Has("limit") {
		return 0, nil
	}
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil || limit == 0 {
		return 0, errMalformed.because("limit %.80q is not a number from 1 to %d", query.Get("limit"), config.MaxListLimit)
	}
	return limit, nil
}

// writeJSON sends a JSON document.
func writeJSON(w http.ResponseWriter, standing config.Standing, document any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("encode the reply: %w", err)
	}
	setStanding(w.Header(), standing)
	w.Header().Set("Content-Type", "application/json")
	setLength(w.Header(), len(body))
	_, _ = w.Write(body) // the client may be gone; there is nobody else to tell
	return nil
}
