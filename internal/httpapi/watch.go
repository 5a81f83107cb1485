package httpapi

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

const (
	// watchBurst is how many revisions are sent before a watch looks up for
	// anything else.
	watchBurst = 64
	// initialEventBytes is about what an event of the initial state holds.
	initialEventBytes = 64 << 10
	// reconnectSpread is the time over which clients are asked to come back.
	reconnectSpread = 2 * time.Second
	// reconnectLeast is the least that they are asked to wait after a loss.
	reconnectLeast = time.Second
)

// watchParameters are the query parameters of a watch.
var watchParameters = append([]string{"prefix", "from", "initial"}, readParameters...)

// watchRequest is a watch as the request wants it.
type watchRequest struct {
	namespace, prefix string
	// from is the cursor of one that resumes another.
	from    uint64
	resumes bool
	// initial: it begins with the state.
	initial bool
	fresh   config.ReadOptions
	// lines are wanted instead of server-sent events.
	lines bool
}

// readWatch understands a request for a watch. The header Last-Event-ID, which a
// browser sends when it comes back, is newer than what its query says.
func readWatch(r *http.Request, to target) (q watchRequest, err error) {
	q = watchRequest{namespace: to.namespace, prefix: to.query.Get("prefix"), lines: accepts(r.Header, streamMediaType)}
	if err := config.CheckPrefix(q.prefix); err != nil {
		return q, err
	}
	if q.initial, err = flag(to.query, "initial"); err != nil {
		return q, err
	}
	if q.fresh, err = readOptions(to.query); err != nil {
		return q, err
	}
	if to.query.Has("from") {
		if q.initial {
			return q, errMalformed.because("from and initial exclude each other")
		}
		if q.from, err = readCursor("from", to.query.Get("from")); err != nil {
			return q, err
		}
		q.resumes = true
	}
	if last := r.Header.Get("Last-Event-Id"); last != "" {
		if q.from, err = readCursor("Last-Event-ID", last); err != nil {
			return q, err
		}
		q.resumes, q.initial = true, false
	}
	if q.resumes && !to.query.Has("consistency") {
		// Whatever is missing comes as soon as it is here. Clients that lost a
		// member and come to this one together need no barrier each.
		q.fresh.Level = config.Local
	}
	return q, nil
}

// readCursor reads a revision that may be 0.
func readCursor(name, text string) (uint64, error) {
	revision, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, errMalformed.because("%s %.80q is not a revision", name, text)
	}
	return revision, nil
}

// watch serves /v1/watch/{namespace}: what changes under a prefix, for as long as
// the client listens.
func (h *Handler) watch(w http.ResponseWriter, r *http.Request, to target) error {
	q, err := readWatch(r, to)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.ReadTimeout)
	view, standing, err := h.Store.View(ctx, q.fresh)
	cancel()
	if err != nil {
		return fmt.Errorf("watch %s/%s: %w", q.namespace, q.prefix, err)
	}
	if !q.resumes {
		q.from = view.Revision
	}
	follower, err := h.Store.Follow(q.namespace, q.prefix, q.from)
	if err != nil {
		return err
	}
	defer follower.Close()
	setStanding(w.Header(), standing)
	setStream(w.Header(), q.lines)
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	// From here on it counts among the watches, not the requests.
	h.leave()
	defer h.serving.Add(1)
	s := &watchStream{handler: h, request: &q, follower: follower, out: newEventWriter(w, q.lines, h.WatchWriteTimeout)}
	if !q.initial {
		view = nil // which must not be kept in memory
	}
	if err := s.run(r.Context(), view); err != nil {
		// The client must not take what it has for an orderly end.
		panic(http.ErrAbortHandler)
	}
	s.out.end()
	return nil
}

// setStream sets the headers of a stream of events.
func setStream(header http.Header, lines bool) {
	header["Vary"] = varyAccept
	header["X-Accel-Buffering"] = noBuffering
	if lines {
		header["Content-Type"] = linesType
	} else {
		header["Content-Type"] = eventsType
	}
}

// watchStream is one client's watch.
type watchStream struct {
	handler  *Handler
	request  *watchRequest
	follower *config.Follower
	out      *eventWriter
}

// run sends events until the stream ends. Its error means that the client isn't
// there any more or is too slow, and nothing more can be said to it.
func (s *watchStream) run(ctx context.Context, initial *config.View) error {
	s.out.hint(reconnectLeast + rand.N(reconnectSpread))
	if initial != nil {
		if err := s.sendState(initial); err != nil {
			return err
		}
	} else if !s.request.resumes {
		s.out.progress("bookmark", s.request.from)
	}
	if err := s.out.flush(); err != nil {
		return err
	}
	return s.follow(ctx)
}

// sendState sends what is under the prefix in one view, and then its revision.
func (s *watchStream) sendState(view *config.View) error {
	s.out.until = time.Now().Add(maxStream)
	entries, err := view.Scan(s.request.namespace, s.request.prefix, view.Revision)
	if err != nil {
		return err
	}
	size := 0
	for entry := range entries {
		if size >= initialEventBytes {
			s.out.endChanges()
			size = 0
		}
		if size == 0 {
			s.out.beginChanges(0)
		}
		s.out.change(entry, size > 0)
		size += len(entry.Value) + len(entry.Key) + 1
		if s.out.err != nil {
			return s.out.err
		}
	}
	if size > 0 {
		s.out.endChanges()
	}
	s.out.progress("sync", view.Revision)
	s.out.until = time.Time{}
	return s.out.err
}

// follow sends what the follower tells.
func (s *watchStream) follow(ctx context.Context) error {
	draining := s.handler.draining
	interval := s.handler.BookmarkInterval
	// Between a half and the whole of it, so that not all watches wake together.
	tick := time.NewTimer(interval/2 + rand.N(interval/2+1))
	defer tick.Stop()
	var over <-chan time.Time
	for {
		if ended, err := s.sendRevisions(); ended || err != nil {
			return err
		}
		select {
		case <-s.follower.Changed():
		case <-tick.C:
			tick.Reset(interval/2 + rand.N(interval/2+1))
			if ended, err := s.bookmark(ctx); ended || err != nil {
				return err
			}
		case <-draining:
			draining = nil
			spread := time.NewTimer(rand.N(drainSpread))
			defer spread.Stop()
			over = spread.C
		case <-over:
			return s.bye("draining")
		case <-ctx.Done():
			return nil // nobody is listening
		}
	}
}

// sendRevisions sends what is new, up to a burst. ended tells that the stream is
// over, because history no longer has what comes next.
func (s *watchStream) sendRevisions() (ended bool, err error) {
	for sent := 0; sent < watchBurst; sent++ {
		revision, whole, err := s.follower.Next()
		if pruned := (*config.PrunedError)(nil); errors.As(err, &pruned) {
			s.out.resync(pruned.Oldest)
			return true, s.out.flush()
		}
		if errors.Is(err, config.ErrParked) {
			return true, s.bye(kindOf(err).code)
		}
		if err != nil {
			return true, err
		}
		if revision == nil {
			if sent == 0 {
				return false, nil
			}
			break
		}
		if err := s.send(revision, whole); err != nil {
			return true, err
		}
	}
	return false, s.out.flush()
}

// send sends one revision, in the encoding that other watches of it use too if
// there is room for one.
func (s *watchStream) send(revision *config.Revision, whole bool) error {
	s.out.beginChanges(revision.Number)
	if shared := s.handler.encodings.acquire(s.request, revision, whole); shared != nil {
		_, _ = s.out.Write(shared.bytes) // the error stays with the writer
		s.handler.encodings.release(shared)
	} else {
		for i, c := range revision.Changes {
			s.out.change(c.Entry, i > 0)
		}
	}
	s.out.endChanges()
	return s.out.err
}

// bookmark tells how far the watch has come, unless this member can't serve any
// more: then the client is sent to another.
func (s *watchStream) bookmark(ctx context.Context) (ended bool, err error) {
	if _, _, err := s.handler.Store.View(ctx, config.ReadOptions{Level: config.Local}); err != nil {
		return true, s.bye(kindOf(err).code)
	}
	if ended, err := s.sendRevisions(); ended || err != nil {
		return ended, err
	}
	s.out.progress("bookmark", s.follower.Cursor())
	return false, s.out.flush()
}

// bye ends the stream and asks the client to come back, at another moment than
// others.
func (s *watchStream) bye(reason string) error {
	s.out.bye(reason, rand.N(reconnectSpread))
	return s.out.flush()
}
