package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/conclave-dev/conclave/pkg/config"
)

// renderTypes are the formats of a rendered prefix with their media types.
// Variables may hold bytes of any encoding, so their text has no charset.
var renderTypes = map[config.RenderFormat][]string{
	config.RenderJSON: {"application/json"},
	config.RenderYAML: {"application/yaml"},
	config.RenderEnv:  {"text/plain"},
}

// maxRenderEntries bounds the keys of one document.
const maxRenderEntries = 250_000

// renderParameters are the query parameters of a rendered prefix.
var renderParameters = append([]string{"prefix", "format", "wait", "revision"}, readParameters...)

// renderRead is a read of a prefix as one document.
type renderRead struct {
	renderName
	fresh config.ReadOptions
	// known are the entity tags that the client has, nil without any.
	known *tagList
	wait  wait
}

// getRender serves GET and HEAD of /v1/render/{namespace}.
func (h *Handler) getRender(w http.ResponseWriter, r *http.Request, to target) error {
	read, err := readRender(r, to)
	if err != nil {
		return err
	}
	look := func(ctx context.Context, fresh config.ReadOptions) (bool, func(http.ResponseWriter) error, error) {
		return h.lookUpRender(ctx, read, fresh)
	}
	if read.wait.longest > 0 {
		scope := config.WatchPrefix(read.namespace, read.prefix)
		return h.poll(w, r, &poll{wait: read.wait, fresh: read.fresh, scope: scope, look: look})
	}
	_, reply, err := look(r.Context(), read.fresh)
	if err != nil {
		return err
	}
	return reply(w)
}

// readRender understands a request for a rendered prefix.
func readRender(r *http.Request, to target) (*renderRead, error) {
	query := to.query
	read := &renderRead{renderName: renderName{to.namespace, query.Get("prefix"), config.RenderJSON}}
	if query.Has("format") {
		read.format = config.RenderFormat(query.Get("format"))
	}
	if renderTypes[read.format] == nil {
		return nil, errUnsupported.because("format %.80q isn't offered: json, yaml and env are", read.format)
	}
	if err := config.CheckPrefix(read.prefix); err != nil {
		return nil, err
	}
	var err error
	if read.fresh, err = readOptions(query); err != nil {
		return nil, err
	}
	if read.fresh.At, err = readRevision(query); err != nil {
		return nil, err
	}
	if read.known, err = readTags(r.Header, "If-None-Match"); err != nil {
		return nil, err
	}
	if read.fresh.At != 0 {
		if query.Has("wait") {
			return nil, errMalformed.because("wait and revision exclude each other: what was doesn't change")
		}
		return read, nil
	}
	read.wait, err = readWait(r, query, read.known != nil)
	return read, err
}

// lookUpRender renders the prefix as it is now, within the time that a read may
// take, and tells whether the client doesn't have the document yet. Whoever gets
// a reply calls it if the document has changed.
func (h *Handler) lookUpRender(ctx context.Context, read *renderRead, fresh config.ReadOptions) (changed bool, reply func(http.ResponseWriter) error, err error) {
	ctx, cancel := context.WithTimeout(ctx, h.ReadTimeout)
	defer cancel()
	view, standing, err := h.Store.View(ctx, fresh)
	if err != nil {
		return false, nil, fmt.Errorf("render %s/%s: %w", read.namespace, read.prefix, err)
	}
	// The level that was asked for is the one that the answer has: see poll.
	standing.Level = read.fresh.Level
	one, err := h.renders.get(ctx, read.renderName, func() ([]*config.Entry, error) {
		return gather(view, read.namespace, read.prefix, standing.Revision)
	})
	if errors.Is(err, config.ErrTooLarge) {
		err = errReplyTooLarge.because("%v", err)
	}
	if err != nil {
		return false, nil, err
	}
	if read.known.includes(one.tag, true) {
		h.renders.release(one)
		tag := one.tag // the document need not stay in memory for a wait
		return false, func(w http.ResponseWriter) error {
			read.setHeader(w.Header(), standing, tag)
			w.WriteHeader(http.StatusNotModified)
			return nil
		}, nil
	}
	return true, func(w http.ResponseWriter) error {
		defer h.renders.release(one)
		read.setHeader(w.Header(), standing, one.tag)
		w.Header()["Content-Type"] = renderTypes[read.format]
		setLength(w.Header(), len(one.document))
		_, _ = w.Write(one.document) // the client may be gone; there is nobody else to tell
		return nil
	}, nil
}

func (q *renderRead) setHeader(header http.Header, standing config.Standing, tag string) {
	setStanding(header, standing)
	header["Etag"] = []string{tag}
	if q.wait.applied != "" {
		header.Set("Preference-Applied", q.wait.applied)
	}
}

// gather returns the entries under a prefix as of a revision, unless they are
// certainly more than one document holds.
func gather(view *config.View, namespace, prefix string, revision uint64) ([]*config.Entry, error) {
	under, err := view.Scan(namespace, prefix, revision)
	if err != nil {
		return nil, err
	}
	var entries []*config.Entry
	bytes := 0
	for entry := range under {
		entries = append(entries, entry)
		if bytes += len(entry.Value); bytes > config.MaxRenderBytes || len(entries) > maxRenderEntries {
			return nil, errReplyTooLarge.because("under the prefix are more than %d bytes or %d keys: ask for less at a time",
				config.MaxRenderBytes, maxRenderEntries)
		}
	}
	return entries, nil
}
