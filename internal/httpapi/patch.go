package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/conclave-dev/conclave/pkg/config"
)

// patchMediaType is the one form of a patch that is taken (RFC 7396).
const patchMediaType = "application/merge-patch+json"

// maxPatchAttempts is how often a patch of whatever the value is (If-Match: *)
// is tried while others write to the key.
const maxPatchAttempts = 8

// keyPatch is a patch of one key as the request wants it.
type keyPatch struct {
	namespace, key string
	// any stands for If-Match: *; otherwise revision is that of the tag.
	any         bool
	revision    uint64
	idempotency string
	dryRun      bool
}

// patchKey changes a JSON value by a merge patch, on the condition that it is the
// value that the client knows. The media type stays as it is.
func (h *Handler) patchKey(w http.ResponseWriter, r *http.Request, to target) error {
	if err := checkType(r.Header.Get("Content-Type"), patchMediaType); err != nil {
		w.Header().Set("Accept-Patch", patchMediaType) // RFC 5789, section 2.2
		return err
	}
	p, err := readPatch(r, to)
	if err != nil {
		return err
	}
	body, err := h.readBody(r, config.MaxValueBytes)
	if err != nil {
		return err
	}
	defer h.releaseBody(body)
	ctx, cancel := context.WithTimeout(r.Context(), h.WriteTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		put, err := h.patch(ctx, p, body.bytes)
		if err != nil {
			return &harmlessError{err}
		}
		if p.dryRun {
			return h.tryPut(ctx, w, put)
		}
		result, err := h.Store.Put(ctx, put)
		if p.any && attempt < maxPatchAttempts && errors.Is(err, config.ErrConflict) {
			continue
		}
		if err != nil {
			return refused(result, err)
		}
		setStanding(w.Header(), written(result))
		w.Header()["Etag"] = []string{etag(result.Revision, formRaw)}
		putStatus(w, result)
		return nil
	}
}

// readPatch understands a PATCH.
func readPatch(r *http.Request, to target) (*keyPatch, error) {
	p := &keyPatch{namespace: to.namespace, key: to.name}
	var err error
	if p.idempotency, err = readIdempotencyKey(r.Header); err != nil {
		return nil, err
	}
	if p.dryRun, err = flag(to.query, "dry-run"); err != nil {
		return nil, err
	}
	if err := checkDryRun(p.dryRun, p.idempotency); err != nil {
		return nil, err
	}
	match, err := readTags(r.Header, "If-Match")
	switch {
	case err != nil:
		return nil, err
	case match == nil:
		return nil, errNoCondition.because("a patch needs If-Match, with the ETag of the value that it is for")
	case match.any && p.idempotency != "":
		return nil, errUnsupported.because("If-Match: * isn't offered with Idempotency-Key: of another value, the same patch is another write")
	case len(match.tags) > 1:
		return nil, errUnsupported.because("If-Match takes one entity tag here, and %d are given", len(match.tags))
	}
	if p.any = match.any; !p.any {
		p.revision = match.tags[0].revision()
	}
	return p, nil
}

// patch returns the write that the patch comes to.
func (h *Handler) patch(ctx context.Context, p *keyPatch, change []byte) (config.Put, error) {
	base, err := h.patchBase(ctx, p)
	if err != nil {
		return config.Put{}, fmt.Errorf("patch %s/%s: %w", p.namespace, p.key, err)
	}
	if h.documents.Acquire(ctx, 1) != nil {
		return config.Put{}, errNoTurn
	}
	defer h.documents.Release(1)
	value, err := config.MergePatch(base.Value, base.MediaType, change)
	if invalid := (*config.InvalidError)(nil); errors.As(err, &invalid) && invalid.What == "value" {
		return config.Put{}, errNotPatchable.because("%s", invalid.Reason)
	}
	if err != nil {
		return config.Put{}, err
	}
	return config.Put{
		Namespace: p.namespace, Key: p.key, Value: value, MediaType: base.MediaType,
		If: config.IfRevision(base.ModRevision), Idempotency: p.idempotency,
	}, nil
}

// patchBase returns what the patch is to be applied to, which exists.
func (h *Handler) patchBase(ctx context.Context, p *keyPatch) (*config.Entry, error) {
	view, _, err := h.Store.View(ctx, config.ReadOptions{})
	if err != nil {
		return nil, err
	}
	current, revision := view.Get(p.namespace, p.key), uint64(0)
	if current != nil {
		revision = current.ModRevision
	}
	switch {
	case current != nil && (p.any || p.revision == revision):
		return current, nil
	case !p.any && p.revision == revision:
		return nil, config.ErrNotFound
	}
	if p.idempotency != "" {
		// A patch that was applied and is sent again is for a value that is no more.
		// Of that it makes the same write as at first, which gets the same answer.
		// History keeps it for that: longer than answers, unless it has no room.
		for entry := range view.History(p.namespace, p.key, p.revision) {
			if entry.ModRevision == p.revision && !entry.Deleted() {
				return entry, nil
			}
			break
		}
		if p.revision < view.Oldest() {
			return nil, fmt.Errorf("%w: it is for revision %d, which is pruned, so whether it was applied before can't be found out",
				config.ErrOutcomeUnknown, p.revision)
		}
	}
	return nil, &config.ConflictError{Current: revision, Revision: view.Revision}
}
