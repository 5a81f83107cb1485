package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

// historyBody is a page of what a key was, newest first.
type historyBody struct {
	Namespace string          `json:"namespace"`
	Key       string          `json:"key"`
	Revision  uint64          `json:"revision"`
	Entries   []historicEntry `json:"entries"`
	// Next is the cursor of the next page, absent on the last one.
	Next string `json:"next,omitempty"`
}

// historicEntry is what one revision made of a key.
type historicEntry struct {
	Revision uint64 `json:"revision"`
	Op       string `json:"op"`
	Time     string `json:"time"`
	// Reason is what a rollback gave as its reason.
	Reason         string `json:"reason,omitempty"`
	CreateRevision uint64 `json:"createRevision,omitempty"`
	Version        uint64 `json:"version,omitempty"`
	Type           string `json:"type,omitempty"`
	shownValue
}

func newHistoricEntry(view *config.View, e *config.Entry) historicEntry {
	h := historicEntry{
		Revision: e.ModRevision, Reason: reasonAt(view, e.ModRevision), Op: operation(e), Time: time.UnixMilli(int64(e.TimeMillis)).UTC().Format(time.RFC3339Nano), //nolint:gosec // a wall clock
		CreateRevision: e.CreateRevision, Version: e.Version, Type: e.MediaType,
	}
	if !e.Deleted() {
		h.shownValue = newShownValue(e.Value)
	}
	return h
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
	body := newHistory(view, to, upTo, limit)
	if len(body.Entries) == 0 && cursor == "" {
		return &absentError{standing: standing, etag: etag(0, formRaw)}
	}
	return writeJSON(w, standing, body)
}

// newHistory reads a page. It ends before its values exceed config.MaxValueBytes
// together, and holds at least one entry if there is one.
func newHistory(view *config.View, to target, upTo uint64, limit int) *historyBody {
	if limit == 0 {
		limit = config.DefaultListLimit
	}
	body := &historyBody{Namespace: to.namespace, Key: to.name, Revision: view.Revision, Entries: []historicEntry{}}
	size := 0
	for e := range view.History(to.namespace, to.name, upTo) {
		n := len(body.Entries)
		if size += len(e.Value); n == limit || n > 0 && size > config.MaxValueBytes {
			body.Next = strconv.FormatUint(e.ModRevision, 10)
			break
		}
		body.Entries = append(body.Entries, newHistoricEntry(view, e))
	}
	return body
}

func errBadLimit(limit int) error {
	return &config.InvalidError{What: "limit", Reason: fmt.Sprintf("%d is not within 1 and %d", limit, config.MaxListLimit)}
}

func errBadCursor(reason string) error { return &config.InvalidError{What: "cursor", Reason: reason} }
