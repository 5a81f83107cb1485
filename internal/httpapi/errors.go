package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"

	"github.com/conclave-dev/conclave/pkg/config"
)

// kind is one way in which a request fails, as clients see it.
type kind struct {
	status int
	// code is for programs and never changes; title says it to people.
	code  string
	title string
	// unknown means that a write may have been applied all the same.
	unknown bool
	// retryable means that the same request may succeed a little later.
	retryable bool
}

// All kinds. Those that have no counterpart in pkg/config are used as errors
// themselves, through because.
var (
	errMalformed     = declare(kind{status: 400, code: "malformed", title: "The request can't be read"})
	errUnsupported   = declare(kind{status: 400, code: "unsupported", title: "The request asks for something that isn't offered"})
	kindInvalid      = declare(kind{status: 400, code: "invalid", title: "A part of the request breaks a rule"})
	errCrossOrigin   = declare(kind{status: 403, code: "cross_origin", title: "A page of another origin may not do this"})
	errNoEndpoint    = declare(kind{status: 404, code: "no_such_endpoint", title: "Nothing is served at this path"})
	kindNotFound     = declare(kind{status: 404, code: "key_not_found", title: "No such key"})
	errNoSchema      = declare(kind{status: 404, code: "schema_not_found", title: "No such schema"})
	errNoSettings    = declare(kind{status: 404, code: "settings_not_found", title: "The namespace has no settings"})
	errMethod        = declare(kind{status: 405, code: "method_not_allowed", title: "The path doesn't take this method"})
	kindRender       = declare(kind{status: 409, code: "render_conflict", title: "The keys can't be one document of that form"})
	errNotPatchable  = declare(kind{status: 409, code: "not_patchable", title: "The value isn't JSON that can be patched"})
	kindLevel        = declare(kind{status: 409, code: "feature_level", title: "The feature level doesn't allow it"})
	kindPruned       = declare(kind{status: 410, code: "pruned", title: "History no longer reaches that revision"})
	kindConflict     = declare(kind{status: 412, code: "revision_mismatch", title: "Key changed since your read"})
	kindTooLarge     = declare(kind{status: 413, code: "too_large", title: "The value or body is too large"})
	errReplyTooLarge = declare(kind{status: 413, code: "reply_too_large", title: "The reply would be too large"})
	errEncoding      = declare(kind{status: 415, code: "unsupported_encoding", title: "The body is in a form that isn't taken"})
	errMediaType     = declare(kind{status: 415, code: "unsupported_media_type", title: "The body is of a type that isn't taken"})
	errUnknownHost   = declare(kind{status: 421, code: "unknown_host", title: "The request is for another host"})
	kindSchema       = declare(kind{status: 422, code: "schema_violation", title: "The value doesn't satisfy the schema of its prefix"})
	kindReused       = declare(kind{status: 422, code: "idempotency_key_reused", title: "The idempotency key belongs to another write"})
	errNoCondition   = declare(kind{status: 428, code: "precondition_required", title: "The request must say what it is for"})
	kindKeysFull     = declare(kind{status: 429, code: "idempotency_full", title: "Too many idempotency keys are in use", retryable: true})
	kindWatches      = declare(kind{status: 429, code: "too_many_watchers", title: "Too many requests wait for a change", retryable: true})
	kindInternal     = declare(kind{status: 500, code: "internal", title: "The server failed", unknown: true})
	kindNoLeader     = declare(kind{status: 503, code: "no_leader", title: "No leader is known", retryable: true})
	kindOverloaded   = declare(kind{status: 503, code: "overloaded", title: "The server has too much to do", retryable: true})
	kindStopping     = declare(kind{status: 503, code: "stopping", title: "The server is shutting down", retryable: true})
	kindParked       = declare(kind{status: 503, code: "parked", title: "This member can't serve", retryable: true})
	kindNotReady     = declare(kind{status: 503, code: "not_ready", title: "This member has not caught up since its start", retryable: true})
	kindTooStale     = declare(kind{status: 503, code: "too_stale", title: "The state here is older than the bound", retryable: true})
	kindSchemaRace   = declare(kind{status: 503, code: "schema_race", title: "Schemas or values changed while the values were checked", retryable: true})
	// A write whose outcome is unknown isn't called retryable: sent again, it
	// could undo what somebody wrote in between.
	kindUnknown     = declare(kind{status: 504, code: "outcome_unknown", title: "What became of the write isn't known", unknown: true})
	kindFuture      = declare(kind{status: 504, code: "revision_not_reached", title: "The store hasn't reached that revision", retryable: true})
	kindNotCaughtUp = declare(kind{status: 504, code: "not_caught_up", title: "The state asked for wasn't here in time", retryable: true})
	kindDiskFull    = declare(kind{status: 507, code: "disk_full", title: "There is no room on disk"})
	kindTooMany     = declare(kind{status: 507, code: "too_many", title: "There are as many of them as there may be"})
	kindQuota       = declare(kind{status: 507, code: "quota_exceeded", title: "The quota doesn't allow more bytes"})
)

// declared are all kinds, in order.
var declared []*kind

func declare(k kind) *kind {
	declared = append(declared, &k)
	return &k
}

// kinds maps the errors of pkg/config. The first that matches counts.
var kinds = []struct {
	err  error
	kind *kind
}{
	{config.ErrOutcomeUnknown, kindUnknown},
	{config.ErrTooStale, kindTooStale}, // whatever the reason
	{config.ErrSchema, kindSchema},     // also one that this member can't read
	{config.ErrSchemaRace, kindSchemaRace},
	{config.ErrTooMany, kindTooMany},
	{config.ErrFeatureLevel, kindLevel},
	{config.ErrInvalid, kindInvalid},
	{config.ErrTooLarge, kindTooLarge},
	{config.ErrNotFound, kindNotFound},
	{config.ErrConflict, kindConflict},
	{config.ErrRender, kindRender},
	{config.ErrPruned, kindPruned},
	{config.ErrFutureRevision, kindFuture},
	{config.ErrIdempotencyReused, kindReused},
	{config.ErrIdempotencyFull, kindKeysFull},
	{config.ErrQuota, kindQuota},
	{config.ErrDiskFull, kindDiskFull},
	{config.ErrTooManyWatches, kindWatches},
	{config.ErrParked, kindParked},
	{config.ErrNotReady, kindNotReady},
	{config.ErrNotCaughtUp, kindNotCaughtUp},
	{config.ErrNoLeader, kindNoLeader},
	{config.ErrOverloaded, kindOverloaded},
	{config.ErrStopping, kindStopping},
}

// requestError is a failure that was found here.
type requestError struct {
	kind   *kind
	detail string
	// allow is the Allow header of a 405.
	allow string
}

func (e *requestError) Error() string { return e.detail }

// because makes an error of a kind.
func (k *kind) because(detail string, args ...any) error {
	return &requestError{kind: k, detail: fmt.Sprintf(detail, args...)}
}

// methodNotAllowed names the methods that would do.
func methodNotAllowed(r *http.Request, allowed ...string) error {
	return &requestError{
		kind: errMethod, detail: fmt.Sprintf("%.20q is not one of %s", r.Method, strings.Join(allowed, ", ")),
		allow: strings.Join(allowed, ", "),
	}
}

// harmlessError is the failure of a request that would have changed nothing,
// whatever its method.
type harmlessError struct{ error }

func (e *harmlessError) Unwrap() error { return e.error }

// refusedError is the failure of a write that the cluster refused. It is answered
// with the result's revision, as a write that took effect is: whoever sends the
// write again with its idempotency key gets all of the first answer.
type refusedError struct {
	error
	result config.Result
}

func (e *refusedError) Unwrap() error { return e.error }

// refused adds the result to the error that came with it. Without an outcome it
// was not the cluster that refused.
func refused(result config.Result, err error) error {
	if result.Outcome == config.OutcomeNothing || errors.Is(err, config.ErrOutcomeUnknown) {
		return err
	}
	return &refusedError{err, result}
}

// absentError is the answer to a read of what doesn't exist.
type absentError struct {
	standing config.Standing
	etag     string
	// what is config.ErrNotFound if nil.
	what error
}

func (e *absentError) Error() string { return e.Unwrap().Error() }

func (e *absentError) Unwrap() error {
	if e.what == nil {
		return config.ErrNotFound
	}
	return e.what
}

// problem is the body of an error (RFC 9457).
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	Code      string `json:"code"`
	Outcome   string `json:"outcome"`
	Retryable bool   `json:"retryable"`
	// CurrentETag is what a failed precondition met.
	CurrentETag string `json:"currentETag,omitempty"`
	// Errors are what is wrong with a value, or values, by a schema.
	Errors []violation `json:"errors,omitempty"`
	// OldestRevision is the oldest that can be read at, after one that can't.
	OldestRevision uint64 `json:"oldestRevision,omitempty"`
	Revision       uint64 `json:"revision"`
	RequestID      string `json:"requestId"`
}

// kindOf is the one map from an error to what clients see of it.
func kindOf(err error) *kind {
	if own := (*requestError)(nil); errors.As(err, &own) {
		return own.kind
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	return kindInternal
}

// refuse answers a request that failed.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	k := kindOf(err)
	p := problem{
		Title: k.title, Status: k.status, Detail: err.Error(), Code: k.code, Outcome: "rejected",
		Retryable: k.retryable, RequestID: h.requests.next(), Errors: violations(err),
	}
	harmless := (*harmlessError)(nil)
	if k.unknown && r.Method != http.MethodGet && r.Method != http.MethodHead && !errors.As(err, &harmless) {
		p.Outcome = "unknown"
	}
	standing := h.Store.Standing()
	header := w.Header()
	if absent := (*absentError)(nil); errors.As(err, &absent) {
		standing = absent.standing
		header.Set("ETag", absent.etag)
	}
	if refused := (*refusedError)(nil); errors.As(err, &refused) {
		standing = written(refused.result)
	}
	if conflict := (*config.ConflictError)(nil); errors.As(err, &conflict) {
		p.CurrentETag = etag(conflict.Current, formRaw)
	}
	if pruned := (*config.PrunedError)(nil); errors.As(err, &pruned) {
		p.OldestRevision = pruned.Oldest
	}
	if invalid := (*config.InvalidError)(nil); k == kindInvalid && errors.As(err, &invalid) {
		p.Code = "invalid_" + strings.ReplaceAll(invalid.What, " ", "_")
	}
	if k == kindInternal {
		// What went wrong is the operator's to read, not the client's.
		p.Detail = ""
	}
	p.Type = "/problems/" + strings.ReplaceAll(p.Code, "_", "-")
	p.Revision = standing.Revision
	setStanding(header, standing)
	if own := (*requestError)(nil); errors.As(err, &own) && own.allow != "" {
		header.Set("Allow", own.allow)
	}
	if k.status == http.StatusServiceUnavailable || k.status == http.StatusTooManyRequests {
		header.Set("Retry-After", strconv.Itoa(retryAfterSeconds()))
	}
	h.logRefusal(r, k, p.RequestID, err)
	discardBody(r)
	h.writeProblem(w, &p)
}

// retryAfterSeconds is jittered, so that those who were refused together don't
// come back together.
func retryAfterSeconds() int { return 1 + rand.IntN(3) }

func (h *Handler) writeProblem(w http.ResponseWriter, p *problem) {
	body, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("httpapi: a problem can't be encoded: %v", err))
	}
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client may be gone; there is nobody else to tell
}

// logRefusal logs our own failures for the operator, and the rest for those
// who look for it: a flood of refusals must not become a flood of log.
func (h *Handler) logRefusal(r *http.Request, k *kind, requestID string, err error) {
	level := slog.LevelDebug
	if k == kindInternal {
		level = slog.LevelError
	}
	h.Logger.LogAttrs(r.Context(), level, "request refused",
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", k.status),
		slog.String("requestId", requestID), slog.Any("error", err))
}
