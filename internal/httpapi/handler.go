package httpapi

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/conclave-dev/conclave/pkg/config"
)

// Handler serves the API. It is made by New.
type Handler struct {
	Options
	hosts    hosts
	requests requestIDs
	// serving counts the requests being served, streams the listings being streamed,
	// bodies weighs what the requests bring, replies what is gathered for them.
	serving atomic.Int64
	streams atomic.Int64
	bodies  *semaphore.Weighted
	replies *semaphore.Weighted
	// documents are the turns of those who read values as documents, of which
	// each may take a hundred megabytes; renders takes them too.
	documents *semaphore.Weighted
	renders   *renders
	// encodings are those that watches share.
	encodings *encodings
	// browsers refuses what a page of another origin makes a browser send.
	browsers http.CrossOriginProtection

	// draining is closed by Drain.
	draining  chan struct{}
	drainOnce sync.Once
}

// New returns the handler of the API, or an error that names an option that
// can't be used.
func New(o Options) (*Handler, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("http api options: %w", err)
	}
	o = o.withDefaults()
	documents := semaphore.NewWeighted(int64(o.MaxDocuments))
	return &Handler{
		documents: documents, renders: newRenders(documents, o.MaxRenderedBytes),
		Options: o, hosts: newHosts(o.Hosts), requests: newRequestIDs(),
		bodies: semaphore.NewWeighted(o.MaxBodyBytes), replies: semaphore.NewWeighted(o.MaxReplyBytes),
		encodings: newEncodings(o.MaxEventBytes), draining: make(chan struct{}),
	}, nil
}

// Load is what a handler has on its hands.
type Load struct {
	// Requests are being served, and Streams listings being streamed.
	Requests, Streams int64
	// Waiting are watches and requests that wait for a change.
	Waiting int64
	// EncodedBytes is what the encoded revisions take that watches share, and
	// Encodings how many were ever made.
	EncodedBytes, Encodings int64
	// RenderedBytes is what rendered prefixes take.
	RenderedBytes int64
}

// Load returns what the handler has on its hands, at once.
func (h *Handler) Load() Load {
	l := Load{Requests: h.serving.Load(), Streams: h.streams.Load(), Waiting: h.Store.Watching(), RenderedBytes: h.renders.bytes()}
	l.EncodedBytes, l.Encodings = h.encodings.load()
	return l
}

// Drain makes clients move to other members: requests that wait for a change
// end within drainSpread, a few at a time, and every reply asks for its
// connection to be closed. Requests are served as before, for as long as the
// server runs.
func (h *Handler) Drain() { h.drainOnce.Do(func() { close(h.draining) }) }

func (h *Handler) isDraining() bool {
	select {
	case <-h.draining:
		return true
	default:
		return false
	}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setAlways(w.Header())
	// net/http passes over a length beside chunks. What comes after such a request may
	// be a part of it for whoever passed it on (RFC 9112, section 6.1).
	if r.ProtoMajor == 1 && (h.isDraining() || len(r.TransferEncoding) > 0) {
		w.Header()["Connection"] = closeConnection
	}
	if err := h.serve(w, r); err != nil {
		h.refuse(w, r, err)
	}
}

// serve answers a request, or returns an error and has written nothing.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	if !h.hosts.allow(r.Host) {
		return errUnknownHost.because("this server isn't known as %q", r.Host)
	}
	if !h.enter() {
		return fmt.Errorf("%w: %d requests are being served", config.ErrOverloaded, h.MaxRequests)
	}
	defer h.leave()
	if err := h.browsers.Check(r); err != nil {
		return errCrossOrigin.because("a page of another origin sent it: %v", err)
	}
	return h.route(w, r)
}

// enter takes a place among the requests being served, if there is one.
func (h *Handler) enter() bool {
	if h.serving.Add(1) > int64(h.MaxRequests) {
		h.serving.Add(-1)
		return false
	}
	return true
}

func (h *Handler) leave() { h.serving.Add(-1) }
