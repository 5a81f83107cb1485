package httpapi

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/conclave-dev/conclave/pkg/config"
)

const (
	// maxWait is the longest that a request may wait for a change.
	maxWait = 10 * time.Minute
	// replyGrace is the time to write a reply after a wait.
	replyGrace = 30 * time.Second
	// drainSpread is the time over which waiting requests end when the member
	// is about to stop, so that their clients don't all come to the next one
	// together.
	drainSpread = 2 * time.Second
)

// wait is a request's wish to wait for a change.
type wait struct {
	// longest is 0 for a request that doesn't wait.
	longest time.Duration
	// applied is the preference of the client that was honoured, if it was one.
	applied string
}

// readWait reads the parameter wait, which is an order, and the header Prefer,
// which is a wish. conditional tells whether the client said what it knows;
// without that there is nothing to wait for.
func readWait(r *http.Request, query url.Values, conditional bool) (wait, error) {
	if query.Has("wait") {
		longest, err := time.ParseDuration(query.Get("wait"))
		switch {
		case err != nil:
			return wait{}, errMalformed.because("wait %.80q is not a duration such as 60s", query.Get("wait"))
		case longest < 0 || longest > maxWait:
			return wait{}, errUnsupported.because("wait is %v and must be within 0 and %v", longest, maxWait)
		case !conditional:
			return wait{}, errMalformed.because("wait needs If-None-Match, with the ETag that is known")
		}
		return wait{longest: longest}, nil
	}
	if !conditional {
		return wait{}, nil
	}
	seconds, wished := preferredWait(r.Header["Prefer"])
	if !wished {
		return wait{}, nil
	}
	seconds = min(seconds, uint64(maxWait/time.Second))
	return wait{
		longest: time.Duration(seconds) * time.Second,
		applied: "wait=" + strconv.FormatUint(seconds, 10),
	}, nil
}

// preferredWait finds wait=N among preferences (RFC 7240). What can't be read
// is passed over, as a preference may be.
func preferredWait(lines []string) (seconds uint64, wished bool) {
	for _, line := range lines {
		for preference := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(preference, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			value = strings.Trim(value, " \t\"")
			if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
				return seconds, true
			}
		}
	}
	return 0, false
}

// jittered shortens a duration by up to a tenth, so that clients that began
// together don't end together.
func jittered(d time.Duration) time.Duration {
	return d - rand.N(d/10+1)
}

// poll is a read that waits until its answer is another.
type poll struct {
	wait  wait
	fresh config.ReadOptions
	// scope is where a change comes from.
	scope config.Scope
	// look reads as freshly as it is told to. It tells whether the client doesn't
	// have the answer yet, and how to give it.
	look func(context.Context, config.ReadOptions) (changed bool, reply func(http.ResponseWriter) error, err error)
}

// poll answers a read as soon as the client doesn't have the answer yet, or
// with 304 when the wait is over.
//
// What wakes it is a change of the local state, and that change is the answer
// even to a linear read: after the barrier at the beginning the local state
// held all that was acknowledged before the request, and whatever it held at
// some later moment was current at some moment of the request. Only a bounded
// read promises more, the age of its answer, and is held to it. The 304 at the
// end is read afresh, so that a member that was cut off meanwhile doesn't say
// "unchanged" for a cluster that it can't see.
func (h *Handler) poll(w http.ResponseWriter, r *http.Request, p *poll) error {
	longest := jittered(p.wait.longest)
	// A writer without deadlines, as in a test, doesn't cut the wait short.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(longest + h.ReadTimeout + replyGrace))
	over := time.NewTimer(longest)
	defer over.Stop()
	draining := h.draining
	again := config.ReadOptions{Level: config.Local}
	if p.fresh.Level == config.Bounded {
		again = p.fresh
	}
	for fresh := p.fresh; ; {
		watch, err := h.Store.Watch(p.scope)
		if err != nil {
			return err
		}
		changed, reply, err := p.look(r.Context(), fresh)
		if err != nil {
			watch.Close()
			return err
		}
		if changed {
			watch.Close()
			return reply(w)
		}

		h.leave()
		fresh = again
		last := false
		select {
		case <-watch.Changed():
		case <-over.C:
			last = true
		case <-draining:
			draining = nil
			over.Reset(min(longest, rand.N(drainSpread)))
		case <-r.Context().Done():
			last = true // nobody will read the answer
		}
		h.serving.Add(1)
		watch.Close()
		if last {
			return p.end(w, r)
		}
	}
}

// end answers a request whose wait is over.
func (p *poll) end(w http.ResponseWriter, r *http.Request) error {
	_, reply, err := p.look(r.Context(), p.fresh)
	if err != nil {
		return err
	}
	return reply(w)
}
