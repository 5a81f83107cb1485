package httpapi

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/conclave-dev/conclave/pkg/config"
)

// differenceHead is what a key that differs is shown with, before its entries.
type differenceHead struct {
	Key    string `json:"key"`
	Change string `json:"change"`
	// Reason is what a rollback gave as its reason, if it made of the key what it is
	// at To.
	Reason string `json:"reason,omitempty"`
}

func newDifferenceHead(view *config.View, namespace string, d config.Difference, to uint64) differenceHead {
	head := differenceHead{Key: d.Key, Change: "modified"}
	switch {
	case d.Before == nil:
		head.Change = "created"
	case d.After == nil:
		head.Change = "deleted"
	}
	for e := range view.History(namespace, d.Key, to) {
		head.Reason = reasonAt(view, e.ModRevision)
		break
	}
	return head
}

// diffParameters are the query parameters of a difference.
var diffParameters = append([]string{"from", "to", "prefix", "limit", "cursor"}, readParameters...)

// readDiff understands the query. A To of 0 stands for the newest revision.
func readDiff(to target) (o config.DiffOptions, err error) {
	query := to.query
	o.Prefix = query.Get("prefix")
	if err := config.CheckPrefix(o.Prefix); err != nil {
		return o, err
	}
	if !query.Has("from") {
		return o, errMalformed.because("from is missing: the revision to compare with")
	}
	if o.From, err = readCursor("from", query.Get("from")); err != nil {
		return o, err
	}
	if query.Has("to") {
		if o.To, err = readCursor("to", query.Get("to")); err != nil {
			return o, err
		}
		if o.To == 0 {
			return o, errMalformed.because("to is 0, when there was nothing")
		}
	}
	if o.Limit, err = readLimit(query); err != nil {
		return o, err
	}
	if query.Has("cursor") {
		err = readDiffCursor(query.Get("cursor"), &o)
	}
	return o, err
}

// getDiff serves /v1/diff/{namespace}.
func (h *Handler) getDiff(w http.ResponseWriter, r *http.Request, to target) error {
	o, err := readDiff(to)
	if err != nil {
		return err
	}
	fresh, err := readOptions(to.query)
	if err != nil {
		return err
	}
	// The later of both must be here; View says so if it can't be.
	fresh.At = max(o.From, o.To)
	ctx, cancel := context.WithTimeout(r.Context(), h.ReadTimeout)
	defer cancel()
	view, standing, err := h.Store.View(ctx, fresh)
	if err != nil {
		return fmt.Errorf("diff of %s/%s: %w", to.namespace, o.Prefix, err)
	}
	if o.To == 0 {
		o.To = view.Revision
	}
	standing.Revision = view.Revision
	return writeDiff(w, view, standing, to.namespace, o)
}

// writeDiff sends a page of what differs between two revisions.
func writeDiff(w http.ResponseWriter, view *config.View, standing config.Standing, namespace string, o config.DiffOptions) error {
	page, err := view.Diff(namespace, o)
	if err != nil {
		return fmt.Errorf("diff of %s/%s: %w", namespace, o.Prefix, err)
	}
	d := newDocument(w, standing, jsonMediaType)
	d.text(`{"namespace":`)
	d.value(namespace)
	d.revision("from", o.From)
	d.revision("to", o.To)
	d.each("changes", len(page.Differences), func(i int) {
		one := page.Differences[i]
		d.open(newDifferenceHead(view, namespace, one, o.To))
		if one.Before != nil {
			d.text(`,"before":`)
			d.entry(namespace, one.Before)
		}
		if one.After != nil {
			d.text(`,"after":`)
			d.entry(namespace, one.After)
		}
		d.text("}")
	})
	if page.Next != "" {
		d.next(diffCursor(o, page.Next))
	}
	d.text("}")
	d.end()
	return nil
}

// diffCursor holds the revisions of the first page, so that all pages are of the
// same, and the last key that was compared.
func diffCursor(o config.DiffOptions, last string) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %d %s", o.From, o.To, last))
}

// readDiffCursor reads a cursor that must continue a difference with these options.
func readDiffCursor(cursor string, o *config.DiffOptions) error {
	if len(cursor) > 2*config.MaxKeyBytes {
		return errBadCursor("it is too long")
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return errBadCursor(err.Error())
	}
	parts := strings.SplitN(string(text), " ", 3)
	if len(parts) != 3 {
		return errBadCursor("it was not made here")
	}
	from, fromErr := strconv.ParseUint(parts[0], 10, 64)
	to, toErr := strconv.ParseUint(parts[1], 10, 64)
	if fromErr != nil || toErr != nil || config.CheckKey(parts[2]) != nil {
		return errBadCursor("it was not made here")
	}
	if from != o.From || o.To != 0 && to != o.To || !strings.HasPrefix(parts[2], o.Prefix) {
		return errBadCursor(fmt.Sprintf("it continues another difference, from %d to %d", from, to))
	}
	o.To, o.After = to, parts[2]
	return nil
}
