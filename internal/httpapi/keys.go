package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/conclave-dev/conclave/pkg/config"
)

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
	w.Header()["Vary"] = varyAccept
	writePage(newDocument(w, standing, jsonMediaType), to.namespace, &page, standing.Revision, list.Values)
	return nil
}

// writePage sends a page of a listing, whose revision all pages have. The last one
// has no next.
func writePage(d *documentWriter, namespace string, page *config.Page, revision uint64, values bool) {
	d.text(`{"namespace":`)
	d.value(namespace)
	d.revision("revision", revision)
	d.each("entries", len(page.Entries), func(i int) {
		if values {
			d.entry(namespace, page.Entries[i])
		} else {
			d.value(newEntryBody(namespace, page.Entries[i]))
		}
	})
	d.field("prefixes", append([]string{}, page.Prefixes...))
	d.next(page.Next)
	d.text("}")
	d.end()
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

// writeJSON sends a small JSON document.
func writeJSON(w http.ResponseWriter, standing config.Standing, document any) error {
	d := newDocument(w, standing, jsonMediaType)
	d.value(document)
	d.end()
	return nil
}
