package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

// schemaMediaType is what an attached schema is sent as.
const schemaMediaType = "application/schema+json"

// schemasBody lists the schemas of a namespace, without their documents.
type schemasBody struct {
	Namespace string       `json:"namespace"`
	Schemas   []schemaBody `json:"schemas"`
}

type schemaBody struct {
	Prefix   string `json:"prefix"`
	Revision uint64 `json:"revision"`
	Time     string `json:"time"`
	Bytes    int    `json:"bytes"`
}

// viewFor returns a view that is as fresh as the query demands.
func (h *Handler) viewFor(r *http.Request, to target) (*config.View, config.Standing, error) {
	fresh, err := readOptions(to.query)
	if err != nil {
		return nil, config.Standing{}, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.ReadTimeout)
	defer cancel()
	return h.Store.View(ctx, fresh)
}

// listSchemas serves GET of /v1/schemas/{namespace}.
func (h *Handler) listSchemas(w http.ResponseWriter, r *http.Request, to target) error {
	view, standing, err := h.viewFor(r, to)
	if err != nil {
		return fmt.Errorf("list the schemas of %s: %w", to.namespace, err)
	}
	body := schemasBody{Namespace: to.namespace, Schemas: []schemaBody{}}
	for _, s := range view.Schemas(to.namespace) {
		body.Schemas = append(body.Schemas, schemaBody{
			Prefix: s.Prefix, Revision: s.Revision, Bytes: len(s.Document),
			Time: time.UnixMilli(int64(s.TimeMillis)).UTC().Format(time.RFC3339Nano), //nolint:gosec // a wall clock
		})
	}
	return writeJSON(w, standing, body)
}

// getSchema serves GET of /v1/schemas/{namespace}/{prefix}.
func (h *Handler) getSchema(w http.ResponseWriter, r *http.Request, to target) error {
	known, err := readTags(r.Header, "If-None-Match")
	if err != nil {
		return err
	}
	view, standing, err := h.viewFor(r, to)
	if err != nil {
		return fmt.Errorf("get the schema of %s/%s: %w", to.namespace, to.name, err)
	}
	attached := view.Schema(to.namespace, to.name)
	if attached == nil {
		return &absentError{standing: standing, etag: etag(0, formRaw), what: noSchema(to)}
	}
	return writeTagged(w, standing, known, etag(attached.Revision, formRaw), schemaMediaType, attached.Document)
}

// writeTagged sends a document with its entity tag, or 304 when the client has it.
func writeTagged(w http.ResponseWriter, standing config.Standing, known *tagList, tag, mediaType string, document []byte) error {
	header := w.Header()
	setStanding(header, standing)
	header["Etag"] = []string{tag}
	if known.includes(tag, true) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	header["Content-Type"] = []string{mediaType}
	setLength(header, len(document))
	_, _ = w.Write(document) // the client may be gone; there is nobody else to tell
	return nil
}

func noSchema(to target) error {
	return errNoSchema.because("no schema is attached to the prefix %q of %s", to.name, to.namespace)
}

// putSchema attaches a schema to a prefix. All values under it must satisfy it.
func (h *Handler) putSchema(w http.ResponseWriter, r *http.Request, to target) error {
	attach := config.AttachSchema{Namespace: to.namespace, Prefix: to.name}
	var err error
	if attach.If, err = precondition(r.Header); err != nil {
		return err
	}
	if attach.Idempotency, err = readIdempotencyKey(r.Header); err != nil {
		return err
	}
	body, err := h.readBody(r, config.MaxSchemaBytes)
	if err != nil {
		return err
	}
	defer h.releaseBody(body)
	attach.Document = body.bytes
	ctx, cancel := context.WithTimeout(r.Context(), h.WriteTimeout)
	defer cancel()
	if h.documents.Acquire(ctx, 1) != nil {
		return errNoTurn
	}
	defer h.documents.Release(1)
	result, err := h.Store.AttachSchema(ctx, attach)
	if err != nil {
		return refused(result, err)
	}
	writtenOver(w, result)
	return nil
}

// writtenOver answers a write of what has a revision and no version: 201 if there
// was nothing before.
func writtenOver(w http.ResponseWriter, result config.Result) {
	header := w.Header()
	setStanding(header, written(result))
	header["Etag"] = []string{etag(result.Revision, formRaw)}
	setLength(header, 0)
	if result.Current == 0 {
		w.WriteHeader(http.StatusCreated)
	}
}

// deleteSchema takes a schema off its prefix.
func (h *Handler) deleteSchema(w http.ResponseWriter, r *http.Request, to target) error {
	detach := config.DetachSchema{Namespace: to.namespace, Prefix: to.name}
	var err error
	if detach.If, err = precondition(r.Header); err != nil {
		return err
	}
	if detach.Idempotency, err = readIdempotencyKey(r.Header); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.WriteTimeout)
	defer cancel()
	result, err := h.Store.DetachSchema(ctx, detach)
	if errors.Is(err, config.ErrNotFound) {
		return refused(result, noSchema(to))
	}
	if err != nil {
		return refused(result, err)
	}
	setStanding(w.Header(), written(result))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// violation is one way in which a value doesn't satisfy a schema.
type violation struct {
	// Key is that of the value, where the request had no value of its own.
	Key           string `json:"key,omitempty"`
	Pointer       string `json:"pointer"`
	SchemaPointer string `json:"schemaPointer"`
	Message       string `json:"message"`
}

// violations returns what an error says of values and schemas, nil when nothing.
func violations(err error) (list []violation) {
	if wrong := (*config.SchemaError)(nil); errors.As(err, &wrong) {
		for _, v := range wrong.Violations {
			list = append(list, violation{Pointer: v.InstancePointer, SchemaPointer: v.SchemaPointer, Message: v.Message})
		}
	}
	if offending := (*config.OffendingError)(nil); errors.As(err, &offending) {
		for _, k := range offending.Keys {
			list = append(list, violation{Key: k.Key, Pointer: k.InstancePointer, SchemaPointer: k.SchemaPointer, Message: k.Message})
		}
	}
	return list
}
