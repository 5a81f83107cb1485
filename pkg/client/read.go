package client

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Consistency is how fresh a read has to be.
type Consistency string

const (
	// Linear: nothing acknowledged before the read began is missing. The default.
	Linear Consistency = "linear"
	// Session: nothing up to ReadOptions.MinRevision is missing; the node waits
	// until it has got so far.
	Session Consistency = "session"
	// Bounded: nothing is missing that was acknowledged ReadOptions.MaxStaleness
	// before the read began.
	Bounded Consistency = "bounded"
	// Local: what this node has, even without a quorum; it may be old.
	Local Consistency = "local"
)

// ReadOptions say how fresh an answer has to be.
type ReadOptions struct {
	// Consistency is how fresh the answer has to be; default Session with a
	// MinRevision, Bounded with a MaxStaleness, and Linear with neither.
	Consistency Consistency
	// MinRevision is, for Session alone, the revision that the caller has seen.
	MinRevision uint64
	// MaxStaleness is, for Bounded alone, how old the answer may be.
	MaxStaleness time.Duration
	// Revision, if not 0, is what the answer is to be as of instead of the newest;
	// CodePruned when that can't be read any more.
	Revision uint64
	// Standing, if not nil, is where to put what the answer is worth.
	Standing *Standing
}

// Standing is what the answer to a read is worth.
type Standing struct {
	// Revision is the store's revision that the answer is as of.
	Revision uint64
	// Consistency is how fresh the answer is.
	Consistency Consistency
	// LeaderKnown tells whether the node knew a leader.
	LeaderKnown bool
	// Staleness is, for Local and Bounded, how old the answer may have been when
	// it was given; Unproven when the node can't tell.
	Staleness time.Duration
}

// Unproven is the staleness of an answer that may be of any age.
const Unproven time.Duration = 1<<63 - 1

// set adds the options to a query.
func (o ReadOptions) set(query url.Values) {
	switch {
	case o.Consistency != "":
	case o.MinRevision != 0:
		o.Consistency = Session
	case o.MaxStaleness != 0:
		o.Consistency = Bounded
	}
	if o.Consistency != "" {
		query.Set("consistency", string(o.Consistency))
	}
	if o.Consistency == Session || o.MinRevision != 0 {
		query.Set("min-revision", strconv.FormatUint(o.MinRevision, 10))
	}
	if o.Revision != 0 {
		query.Set("revision", strconv.FormatUint(o.Revision, 10))
	}
	if o.MaxStaleness != 0 {
		query.Set("max-staleness", o.MaxStaleness.String())
	}
}

// stand reads what an answer is worth.
func (o ReadOptions) stand(header http.Header) error {
	if o.Standing == nil {
		return nil
	}
	revision, err := readRevision(header)
	if err != nil {
		return err
	}
	*o.Standing = Standing{
		Revision: revision, Consistency: Consistency(header.Get("Conclave-Consistency")),
		LeaderKnown: header.Get("Conclave-Leader") == "known",
	}
	switch age := header.Get("Conclave-Staleness-Ms"); age {
	case "":
	case "unknown":
		o.Standing.Staleness = Unproven
	default:
		millis, err := strconv.ParseUint(age, 10, 53)
		if err != nil {
			return fmt.Errorf("header Conclave-Staleness-Ms: %w", err)
		}
		// An age beyond what can be counted proves nothing.
		o.Standing.Staleness = Unproven
		if millis < uint64(Unproven/time.Millisecond) {
			o.Standing.Staleness = time.Duration(millis) * time.Millisecond
		}
	}
	return nil
}

// readAs reads the JSON of an answer to a read, and what it is worth.
func (r *reply) readAs(call call, o ReadOptions, value any) error {
	if err := r.decode(call, value); err != nil {
		return err
	}
	if err := o.stand(r.header); err != nil {
		return r.unreadable(call, err)
	}
	return nil
}

// unreadable is the error of an answer that was a success and can't be read.
func (r *reply) unreadable(call call, err error) error {
	return &Error{Op: call.describe(), Status: r.status, Outcome: outcomeUnread(call), Err: err}
}
