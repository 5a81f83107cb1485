package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

// historicEntry is what one revision made of a key, without its value.
type historicEntry struct {
	Revision uint64 `json:"revision"`
	Op       string `json:"op"`
	Time     string `json:"time"`
	// Reason is what a rollback gave as its reason.
	Reason         string `json:"reason,omitempty"`
	CreateRevision uint64 `json:"createRevision,omitempty"`
	Version        uint64 `json:"version,omitempty"`
	Type           string `json:"type,omitempty"`
}

func newHistoricEntry(view *config.View, e *config.Entry) historicEntry {
	return historicEntry{
		Revision: e.ModRevision, Reason: reasonAt(view, e.ModRevision), Op: operation(e), Time: time.UnixMilli(int64(e.TimeMillis)).UTC().Format(time.RFC3339Nano), //nolint:gosec // a wall clock
		CreateRevision: e.CreateRevision, Version: e.Version, Type: e.MediaType,
	}
}

// reasonAt is what the writer of a revision gave as its reason, empty where there is
// none or it is pruned.
func reasonAt(view *config.View, revision uint64) string {
	if r := view.RevisionAt(revision); r != nil {
		return r.Reason
	}
	return ""
}

// historyParameters are the query parameters of a history.
var historyParameters = append([]string{"limit", "cursor"}, readParameters...)

// getHistory serves /v1/history/{namespace}/{key}. The cursor of a page is the
// newest revision that it may show.
func (h *Handler) getHistory(w http.ResponseWriter, r *http.Request, to target) error {
	limit, err := readLimit(to.query)
	if err != nil {
		return err
	}
	if limit < 0 || limit > config.MaxListLimit {
		return errBadLimit(limit)
	}
	fresh, err := readOptions(to.query)
	if err != nil {
		return err
	}
	cursor := to.query.Get("cursor")
	ctx, cancel := context.WithTimeout(r.Context(), h.ReadTimeout)
	defer cancel()
	view, standing, err := h.Store.View(ctx, fresh)
	if err != nil {
		return fmt.Errorf("history of %s/%s: %w", to.namespace, to.name, err)
	}
	upTo := view.Revision
	if cursor != "" {
		if upTo, err = strconv.ParseUint(cursor, 10, 64); err != nil {
			return errBadCursor("it was not made here")
		}
	}
	entries, next := historyPage(view, to, upTo, limit)
	if len(entries) == 0 && cursor == "" {
		return &absentError{standing: standing, etag: etag(0, formRaw)}
	}
	writeHistory(newDocument(w, standing, jsonMediaType), view, to, entries, next)
	return nil
}

// historyPage reads a page. It ends before its values exceed config.MaxValueBytes
// together, and holds at least one entry if there is one. next is the cursor of the
// next page, empty on the last one.
func historyPage(view *config.View, to target, upTo uint64, limit int) (entries []*config.Entry, next string) {
	if limit == 0 {
		limit = config.DefaultListLimit
	}
	size := 0
	for e := range view.History(to.namespace, to.name, upTo) {
		n := len(entries)
		if size += len(e.Value); n == limit || n > 0 && size > config.MaxValueBytes {
			return entries, strconv.FormatUint(e.ModRevision, 10)
		}
		entries = append(entries, e)
	}
	return entries, ""
}

// writeHistory sends a page of what a key was, newest first.
func writeHistory(d *documentWriter, view *config.View, to target, entries []*config.Entry, next string) {
	d.text(`{"namespace":`)
	d.value(to.namespace)
	d.field("key", to.name)
	d.revision("revision", view.Revision)
	d.each("entries", len(entries), func(i int) {
		head := newHistoricEntry(view, entries[i])
		if entries[i].Deleted() {
			d.value(head)
		} else {
			d.valued(head, entries[i].Value)
		}
	})
	d.next(next)
	d.text("}")
	d.end()
}

func errBadLimit(limit int) error {
	return &config.InvalidError{What: "limit", Reason: fmt.Sprintf("%d is not within 1 and %d", limit, config.MaxListLimit)}
}

func errBadCursor(reason string) error { return &config.InvalidError{What: "cursor", Reason: reason} }
