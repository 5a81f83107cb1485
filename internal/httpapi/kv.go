package httpapi

import (
	"context"
	"net/http"
	"strconv"

	"github.com/conclave-dev/conclave/pkg/config"
)

// keyRead is a read of one key as the request wants it.
type keyRead struct {
	namespace, key string
	form           form
	fresh          config.ReadOptions
	// known are the entity tags that the client has, nil without any.
	known *tagList
	wait  wait
}

// keyParameters are the query parameters of a read of one key.
var keyParameters = append([]string{"meta", "wait", "revision"}, readParameters...)

// getKey serves GET and HEAD of /v1/kv/{namespace}/{key}.
func (h *Handler) getKey(w http.ResponseWriter, r *http.Request, to target) error {
	read, err := readKeyRead(r, to)
	if err != nil {
		return err
	}
	if read.wait.longest > 0 {
		return h.poll(w, r, h.pollOf(read))
	}
	entry, standing, err := h.lookUp(r.Context(), read, read.fresh)
	if err != nil {
		return err
	}
	return read.reply(w, entry, standing)
}

// readKeyRead understands a GET or HEAD.
func readKeyRead(r *http.Request, to target) (*keyRead, error) {
	read := &keyRead{namespace: to.namespace, key: to.name}
	var err error
	if read.form, err = readForm(r, to.query); err != nil {
		return nil, err
	}
	if read.fresh, err = readOptions(to.query); err != nil {
		return nil, err
	}
	if read.known, err = readTags(r.Header, "If-None-Match"); err != nil {
		return nil, err
	}
	if read.fresh.At, err = readRevision(to.query); err != nil {
		return nil, err
	}
	if read.fresh.At != 0 {
		if to.query.Has("wait") {
			return nil, errMalformed.because("wait and revision exclude each other: what was doesn't change")
		}
		return read, nil
	}
	read.wait, err = readWait(r, to.query, read.known != nil)
	return read, err
}

// lookUp reads the key from the store, within the time that a read may take.
func (h *Handler) lookUp(ctx context.Context, read *keyRead, fresh config.ReadOptions) (*config.Entry, config.Standing, error) {
	if fresh.Level != config.Local { // which asks nobody and so waits for nobody
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, h.ReadTimeout)
		defer cancel()
	}
	entry, standing, err := h.Store.Get(ctx, read.namespace, read.key, fresh)
	// The level that was asked for is the one that the answer has: see poll.
	standing.Level = read.fresh.Level
	return entry, standing, err
}

// pollOf returns the read as one that waits.
func (h *Handler) pollOf(read *keyRead) *poll {
	return &poll{
		wait: read.wait, fresh: read.fresh, scope: config.WatchKey(read.namespace, read.key),
		look: func(ctx context.Context, fresh config.ReadOptions) (bool, func(http.ResponseWriter) error, error) {
			entry, standing, err := h.lookUp(ctx, read, fresh)
			if err != nil {
				return false, nil, err
			}
			_, changed := read.changed(entry)
			return changed, func(w http.ResponseWriter) error { return read.reply(w, entry, standing) }, nil
		},
	}
}

// changed tells whether the client doesn't have this entry, or its absence,
// yet, and returns the entity tag.
func (k *keyRead) changed(entry *config.Entry) (tag string, changed bool) {
	revision := uint64(0)
	if entry != nil {
		revision = entry.ModRevision
	}
	tag = etag(revision, k.form)
	return tag, !k.known.includes(tag, entry != nil)
}

// reply answers with the entry, or with 304 when the client has it, or with
// the error that says that there is none.
func (k *keyRead) reply(w http.ResponseWriter, entry *config.Entry, standing config.Standing) error {
	tag, changed := k.changed(entry)
	header := w.Header()
	header["Vary"] = varyAccept
	if changed && entry == nil {
		return &absentError{standing: standing, etag: tag}
	}
	setStanding(header, standing)
	header["Etag"] = []string{tag}
	if k.wait.applied != "" {
		header.Set("Preference-Applied", k.wait.applied)
	}
	if !changed {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	k.write(w, entry, standing)
	return nil
}

// putKey writes a value.
func (h *Handler) putKey(w http.ResponseWriter, r *http.Request, to target) error {
	put := config.Put{Namespace: to.namespace, Key: to.name, MediaType: r.Header.Get("Content-Type")}
	var err error
	if put.If, err = precondition(r.Header); err != nil {
		return err
	}
	if put.Idempotency, err = readIdempotencyKey(r.Header); err != nil {
		return err
	}
	if put.MediaType != "" {
		// Before the body, which may be long.
		if err := config.CheckMediaType(put.MediaType); err != nil {
			return err
		}
	}
	dryRun, err := flag(to.query, "dry-run")
	if err != nil {
		return err
	}
	if err := checkDryRun(dryRun, put.Idempotency); err != nil {
		return err
	}
	body, err := h.readBody(r, config.MaxValueBytes)
	if err != nil {
		return err
	}
	defer h.releaseBody(body)
	put.Value = body.bytes

	ctx, cancel := context.WithTimeout(r.Context(), h.WriteTimeout)
	defer cancel()
	if dryRun {
		return h.tryPut(ctx, w, put)
	}
	result, err := h.Store.Put(ctx, put)
	if err != nil {
		return refused(result, err)
	}
	setStanding(w.Header(), written(result))
	w.Header()["Etag"] = []string{etag(result.Revision, formRaw)}
	putStatus(w, result)
	return nil
}

// tryPut answers as the put would be answered now, and puts nothing. There is no
// revision that an entity tag could be of.
func (h *Handler) tryPut(ctx context.Context, w http.ResponseWriter, put config.Put) error {
	result, err := h.Store.TryPut(ctx, put)
	if err != nil {
		return &harmlessError{err}
	}
	setStanding(w.Header(), written(result))
	w.Header()["Conclave-Dry-Run"] = dryRunOn
	putStatus(w, result)
	return nil
}

// putStatus tells whether the key was made.
func putStatus(w http.ResponseWriter, result config.Result) {
	w.Header().Set("Content-Length", "0")
	if result.Created() {
		w.WriteHeader(http.StatusCreated)
	} else {
		w.WriteHeader(http.StatusOK)
	}
}

// deleteKey removes a key.
func (h *Handler) deleteKey(w http.ResponseWriter, r *http.Request, to target) error {
	condition, err := precondition(r.Header)
	if err != nil {
		return err
	}
	idempotency, err := readIdempotencyKey(r.Header)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.WriteTimeout)
	defer cancel()
	result, err := h.Store.Delete(ctx, config.Delete{Namespace: to.namespace, Key: to.name, If: condition, Idempotency: idempotency})
	if err != nil {
		return refused(result, err)
	}
	setStanding(w.Header(), written(result))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// written is the standing of the answer to a write, which was replicated and
// so had a leader.
func written(result config.Result) config.Standing {
	return config.Standing{Revision: result.Revision, Level: config.Linear, LeaderKnown: true}
}

// setLength sets the length of the body to come.
func setLength(header http.Header, length int) {
	header["Content-Length"] = []string{strconv.Itoa(length)}
}
