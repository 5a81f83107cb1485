package httpapi

import (
	"context"
	"net/http"

	"github.com/conclave-dev/conclave/pkg/config"
)

// maxRollbackBytes is the size of the largest body of a rollback: the longest
// prefix and reason, all of them escaped.
const maxRollbackBytes = 16 << 10

// rollbackBody is the body of a rollback.
type rollbackBody struct {
	To     *uint64 `json:"to"`
	Prefix string  `json:"prefix"`
	Reason string  `json:"reason"`
}

// rollbackReply tells what a rollback did.
type rollbackReply struct {
	To       uint64 `json:"to"`
	Revision uint64 `json:"revision"`
	// Changed is how many keys it changed. With 0 the revision is the store's.
	Changed uint32 `json:"changed"`
}

// postRollback serves /v1/rollback/{namespace}.
func (h *Handler) postRollback(w http.ResponseWriter, r *http.Request, to target) error {
	dryRun, err := flag(to.query, "dry-run")
	if err != nil {
		return err
	}
	idempotency, err := readIdempotencyKey(r.Header)
	if err != nil {
		return err
	}
	if err := checkDryRun(dryRun, idempotency); err != nil {
		return err
	}
	var body rollbackBody
	if err := h.readJSON(r, maxRollbackBytes, &body); err != nil {
		return err
	}
	if body.To == nil {
		return errMalformed.because("the body: to is missing: the revision to go back to")
	}
	rollback := config.Rollback{
		Namespace: to.namespace, Prefix: body.Prefix, To: *body.To, Reason: body.Reason, Idempotency: idempotency,
	}
	if _, err := rollback.Encode(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.WriteTimeout)
	defer cancel()
	if dryRun {
		return h.tryRollback(ctx, w, rollback)
	}
	result, err := h.Store.Rollback(ctx, rollback)
	if err != nil {
		return refused(result, err)
	}
	return writeJSON(w, written(result), rollbackReply{To: rollback.To, Revision: result.Revision, Changed: result.Changes})
}

// tryRollback answers as the rollback would be answered now, with the first page of
// what it would change, and changes nothing. GET /v1/diff has the other pages.
func (h *Handler) tryRollback(ctx context.Context, w http.ResponseWriter, rollback config.Rollback) error {
	view, standing, _, err := h.Store.TryRollback(ctx, rollback)
	if err != nil {
		return &harmlessError{err}
	}
	o := config.DiffOptions{Prefix: rollback.Prefix, From: view.Revision, To: rollback.To}
	w.Header()["Conclave-Dry-Run"] = dryRunOn
	if err := writeDiff(w, view, standing, rollback.Namespace, o); err != nil {
		return &harmlessError{err}
	}
	return nil
}
